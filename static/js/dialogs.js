// @ts-check
import { button, element } from "./element.js";

/**
 * A dialog with a title and a way out, shown until it closes itself; then it leaves the page.
 * @param {{t: string, className?: string, isRequired?: boolean}} parts `isRequired`: it has no way out.
 * @param {Node[]} children
 */
export function openDialog({ t, className = "", isRequired = false }, children) {
  const title = element("h2", { t, id: `dialog-${t}` });
  const dialog = element("dialog", { className, attributes: { "aria-labelledby": title.id } }, [
    element("header", {}, [
      title,
      isRequired ? null : button({ icon: "close", tLabel: "close", className: "quiet icon-button", onClick: () => dialog.close() }),
    ]),
    ...children,
  ]);
  dialog.addEventListener("cancel", (event) => {
    if (isRequired) event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && !isRequired) dialog.close(); // the backdrop
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * @param {{t: string, text: string, yes: string}} question
 * @returns {Promise<boolean>}
 */
export function confirmed({ t, text, yes }) {
  return new Promise((resolve) => {
    let answer = false;
    const choose = (/** @type {boolean} */ value) => {
      answer = value;
      dialog.close();
    };
    const dialog = openDialog({ t, className: "small" }, [
      element("p", { text, className: "ellipsis" }),
      element("footer", {}, [
        button({ t: "cancel", className: "plain", attributes: { autofocus: "" }, onClick: () => choose(false) }),
        button({ t: yes, className: "danger", onClick: () => choose(true) }),
      ]),
    ]);
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/**
 * A labelled field of a form.
 * @param {{t: string, name: string, type?: string, autocomplete?: string, minlength?: string, maxlength?: string}} parts
 */
export function field({ t, name, type = "text", autocomplete = "off", minlength, maxlength }) {
  const attributes = { name, type, autocomplete, required: "", spellcheck: "false", autocapitalize: "none" };
  if (minlength) Object.assign(attributes, { minlength });
  if (maxlength) Object.assign(attributes, { maxlength });
  return element("label", { className: "field" }, [element("span", { t }), element("input", { attributes })]);
}
