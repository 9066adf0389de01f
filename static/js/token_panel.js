// @ts-check
import { copyText } from "./clipboard.js";
import { field } from "./dialogs.js";
import { button, element } from "./element.js";
import { smallForm } from "./form.js";
import { i18n } from "./i18n.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./notices.js").Notices} Notices */

/**
 * The tokens with which apps act as this user: make one, see it once, revoke it.
 * @param {{api: Api, notices: Notices}} parts
 */
export function tokenPanel({ api, notices }) {
  const list = element("ul", { className: "tokens" });
  const fresh = element("div", { className: "fresh-token", hidden: true });

  const load = async () => {
    try {
      const { tokens } = await api.tokens();
      list.replaceChildren(...tokens.map((token) => row(token, api, notices, load)));
    } catch (error) {
      notices.refuse(error);
    }
  };
  const form = smallForm({
    t: "create_token",
    fields: [field({ t: "token_name", name: "name", maxlength: "64" })],
    submit: async ({ name }) => {
      const { token } = await api.createToken(name.trim());
      const copy = button({ icon: "copy", t: "copy", className: "plain", onClick: () => copyText(token, copy) });
      fresh.replaceChildren(element("p", { t: "token_once" }), element("code", { text: token }), copy);
      fresh.hidden = false;
      form.reset();
      await load();
    },
  });
  form.classList.add("inline");
  void load();
  return element("div", {}, [element("p", { className: "hint", t: "tokens_hint" }), list, fresh, form]);
}

/**
 * @param {{id: string, name: string, created_ms: number, last_used_ms: number | null}} token
 * @param {Api} api
 * @param {Notices} notices
 * @param {() => Promise<void>} reload
 */
function row({ id, name, created_ms, last_used_ms }, api, notices, reload) {
  const used = last_used_ms ? i18n.t("token_used", { date: i18n.date(last_used_ms) }) : i18n.t("token_unused");
  const revoke = async () => {
    try {
      await api.revokeToken(id);
      await reload();
    } catch (error) {
      notices.refuse(error);
    }
  };
  return element("li", {}, [
    element("span", { className: "token-name", text: name }),
    element("small", { text: `${i18n.date(created_ms)} · ${used}` }),
    button({ t: "revoke", className: "plain", onClick: () => void revoke() }),
  ]);
}
