// @ts-check
import { field, openDialog } from "./dialogs.js";
import { button, element } from "./element.js";
import { smallForm } from "./form.js";
import { i18n } from "./i18n.js";
import { openSignIn, signedOut } from "./sign_in.js";
import { theme } from "./theme.js";
import { tokenPanel } from "./token_panel.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./notices.js").Notices} Notices */

const SHORTCUTS = [
  ["Enter", "key_send"],
  ["Shift + Enter", "key_line"],
  ["Esc", "key_stop"],
  ["/", "key_write"],
  ["Ctrl + K", "key_search"],
  ["Ctrl + Shift + O", "key_new"],
  ["Alt + R", "key_talk"],
];

/**
 * Who one is here, how the page looks, and what apps may do in one's name.
 * @param {{api: Api, notices: Notices, user: import("./types.js").User, quota: import("./types.js").Quota}} parts
 */
export function openSettings({ api, notices, user, quota }) {
  const dialog = openDialog({ t: "settings", className: "settings" }, [
    account({ api, notices, user, quota }),
    look(),
    ...(user.guest ? [] : [section("tokens", [tokenPanel({ api, notices })]), section("change_password", [passwordForm(api, () => dialog.close(), notices)])]),
    section("shortcuts", [shortcuts()]),
  ]);
  return dialog;
}

/** @param {string} t @param {Node[]} children */
function section(t, children) {
  return element("section", {}, [element("h3", { t }), ...children]);
}

/** @param {{api: Api, notices: Notices, user: import("./types.js").User, quota: import("./types.js").Quota}} parts */
function account({ api, notices, user, quota }) {
  const leave = async () => {
    try {
      await api.logout();
    } catch (error) {
      return notices.refuse(error);
    }
    signedOut.is = true;
    location.hash = "";
    location.reload();
  };
  const enter = (/** @type {import("./sign_in.js").Mode} */ mode) => {
    document.querySelector("dialog")?.close();
    openSignIn({ api, mode });
  };
  const acts = user.guest
    ? [
        button({ t: "tab_register", className: "primary", onClick: () => enter("register") }),
        button({ t: "tab_login", className: "plain", onClick: () => enter("login") }),
      ]
    : [button({ t: "sign_out", className: "plain", onClick: () => void leave() })];
  return section("account", [
    element("dl", { className: "facts" }, [
      element("dt", { t: "name" }),
      user.guest ? element("dd", { t: "guest" }) : element("dd", { text: user.name }),
      element("dt", { t: "quota" }),
      element("dd", { t: "quota_left", tArgs: { tokens: i18n.number(quota.tokens), pictures: i18n.number(quota.pictures) } }),
    ]),
    user.guest ? element("p", { className: "hint", t: "guest_hint" }) : null,
    element("div", { className: "row" }, acts),
  ].filter((node) => node !== null));
}

function look() {
  return section("look", [
    choice("theme", [["auto", "theme_auto"], ["light", "theme_light"], ["dark", "theme_dark"]], theme.choice, (value) => theme.use(value)),
    choice("language", [["en", "lang_en"], ["zh", "lang_zh"]], i18n.code, (value) => i18n.use(value)),
  ]);
}

/**
 * One of a few.
 * @param {string} t
 * @param {string[][]} options Value and word.
 * @param {string} current
 * @param {(value: string) => void} onChoose
 */
function choice(t, options, current, onChoose) {
  const radios = options.map(([value, word]) => {
    const input = element("input", { attributes: { type: "radio", name: t, value } });
    input.checked = value === current;
    input.addEventListener("change", () => onChoose(value));
    return element("label", {}, [input, element("span", { t: word })]);
  });
  return element("fieldset", { className: "choice" }, [element("legend", { t }), ...radios]);
}

/** @param {Api} api @param {() => void} close @param {Notices} notices */
function passwordForm(api, close, notices) {
  return smallForm({
    t: "change_password",
    fields: [
      field({ t: "old_password", name: "old", type: "password", autocomplete: "current-password" }),
      field({ t: "new_password", name: "new", type: "password", autocomplete: "new-password", minlength: "8" }),
    ],
    submit: async (values) => {
      await api.changePassword({ old: values.old, new: values.new });
      close();
      notices.tell("password_changed");
    },
  });
}

function shortcuts() {
  const canTalk = !document.getElementById("talk")?.hidden;
  const rows = SHORTCUTS.filter(([, word]) => canTalk || word !== "key_talk").flatMap(([keys, word]) => [element("dt", {}, [element("kbd", { text: keys })]), element("dd", { t: word })]);
  return element("dl", { className: "facts shortcuts" }, rows);
}
