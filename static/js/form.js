// @ts-check
import { button, element } from "./element.js";
import { i18n } from "./i18n.js";
import { errorWords } from "./notices.js";

/**
 * A form that sends itself with `submit`, and shows a refusal beside the field at fault.
 * @param {{fields: HTMLElement[], t: string, submit: (values: Record<string, string>) => Promise<void>, aside?: Node[]}} parts
 */
export function smallForm({ fields, t, submit, aside = [] }) {
  const fault = element("p", { className: "form-fault", hidden: true, attributes: { role: "alert" } });
  const go = button({ t, className: "primary", type: "submit" });
  const form = element("form", { className: "form" }, [...fields, fault, element("footer", {}, [...aside, go])]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fault.hidden = true;
    go.disabled = true;
    const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    try {
      await submit(values);
    } catch (error) {
      const wire = /** @type {any} */ (error).error;
      if (!wire) throw error;
      fault.textContent = words(wire);
      fault.hidden = false;
      const input = wire.field && form.querySelector(`[name="${CSS.escape(wire.field)}"]`);
      if (input instanceof HTMLElement) input.focus();
    } finally {
      go.disabled = false;
    }
  });
  return form;
}

/** Here the server's own sentence says more than the code does. @param {import("./types.js").WireError} error */
function words(error) {
  if (error.code === "conflict" && error.field === "username") return i18n.t("name_taken");
  if (error.code === "unauthenticated") return i18n.t("wrong_password");
  if (error.code === "invalid_request") return error.message;
  return errorWords(error);
}
