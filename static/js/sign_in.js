// @ts-check
import { field, openDialog } from "./dialogs.js";
import { button, element } from "./element.js";
import { smallForm } from "./form.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {"login" | "register" | "reset"} Mode */

const SIGNED_OUT = "parley.signed_out";

/** Someone who signed out is asked who they are, instead of becoming a guest again. */
export const signedOut = {
  get is() {
    return sessionStorage.getItem(SIGNED_OUT) === "1";
  },
  set is(/** @type {boolean} */ isOut) {
    if (isOut) sessionStorage.setItem(SIGNED_OUT, "1");
    else sessionStorage.removeItem(SIGNED_OUT);
  },
};

/**
 * Sign in, make an account, or set a new password with a ticket. Ends with the page loaded anew as that user.
 * @param {Object} parts
 * @param {Api} parts.api
 * @param {Mode} [parts.mode]
 * @param {boolean} [parts.isRequired] Nobody can go on without it.
 * @param {(() => Promise<void>) | null} [parts.asGuest]
 */
export function openSignIn({ api, mode = "login", isRequired = false, asGuest = null }) {
  const body = element("div");
  const dialog = openDialog({ t: "welcome", className: "sign-in", isRequired }, [body]);
  const done = () => {
    signedOut.is = false;
    location.reload();
  };

  /** @param {Mode} next */
  const show = (next) => {
    const tabs = element("div", { className: "tabs", attributes: { role: "group" } }, [
      tab("login", next, show),
      tab("register", next, show),
    ]);
    const links = element("p", { className: "links" }, [
      next === "login" ? button({ t: "have_ticket", className: "link", onClick: () => show("reset") }) : null,
      asGuest ? button({ t: "as_guest", className: "link", onClick: () => void asGuest().then(done) }) : null,
    ]);
    body.replaceChildren(tabs, form(next, api, done), links);
    /** @type {HTMLElement | null} */ (body.querySelector("input"))?.focus();
  };
  show(mode);
  return dialog;
}

/** @param {Mode} mode @param {Mode} current @param {(mode: Mode) => void} show */
function tab(mode, current, show) {
  const attributes = { "aria-pressed": String(mode === current) };
  return button({ t: `tab_${mode}`, className: "tab", attributes, onClick: () => show(mode) });
}

/** @param {Mode} mode @param {Api} api @param {() => void} done */
function form(mode, api, done) {
  const name = field({ t: "username", name: "username", autocomplete: "username", maxlength: "64" });
  if (mode === "reset") {
    return smallForm({
      t: "set_password",
      fields: [field({ t: "ticket", name: "ticket" }), newPassword("password")],
      submit: async ({ ticket, password }) => {
        await api.resetPassword({ ticket: ticket.trim(), password });
        done();
      },
    });
  }
  const password =
    mode === "login" ? field({ t: "password", name: "password", type: "password", autocomplete: "current-password" }) : newPassword("password");
  return smallForm({
    t: mode === "login" ? "sign_in" : "sign_up",
    fields: [name, password],
    submit: async (values) => {
      await api[mode]({ username: values.username.trim(), password: values.password });
      done();
    },
  });
}

/** @param {string} name */
function newPassword(name) {
  return field({ t: "new_password", name, type: "password", autocomplete: "new-password", minlength: "8" });
}
