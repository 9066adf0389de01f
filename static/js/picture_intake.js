// @ts-check

/**
 * Pictures that are dropped on the page or pasted into it.
 * @param {HTMLElement} area Where one may drop; has the class `is-dropping` while something hangs over it.
 * @param {(files: File[]) => void} onFiles
 * @param {() => boolean} isOpen Pictures are taken now.
 */
export function takeIn(area, onFiles, isOpen) {
  let depth = 0; // each part of the page that is entered tells so, too
  const hang = (/** @type {number} */ by) => {
    depth = by ? Math.max(0, depth + by) : 0;
    area.classList.toggle("is-dropping", depth > 0);
  };
  const isMeant = (/** @type {DragEvent} */ event) => isOpen() && !!event.dataTransfer?.types.includes("Files");
  area.addEventListener("dragenter", (event) => isMeant(event) && hang(1));
  area.addEventListener("dragleave", (event) => isMeant(event) && hang(-1));
  area.addEventListener("dragover", (event) => isMeant(event) && event.preventDefault());
  area.addEventListener("drop", (event) => {
    if (!isMeant(event)) return;
    event.preventDefault();
    hang(0);
    onFiles([...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !isOpen() || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    onFiles(files);
  });
}

/**
 * Let the reader choose pictures, or take one with the camera.
 * @param {{isCamera: boolean, onFiles: (files: File[]) => void}} wish
 */
export function chooseFiles({ isCamera, onFiles }) {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/jpeg,image/png,image/webp,image/gif,image/bmp";
  if (isCamera) input.setAttribute("capture", "environment");
  else input.multiple = true;
  input.addEventListener("change", () => onFiles([...(input.files ?? [])]));
  input.click();
}
