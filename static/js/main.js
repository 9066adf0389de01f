// @ts-check
/** Starts the page. When its libraries are missing, says so in the page instead of showing nothing. */
import("./app.js").then(
  ({ App }) => new App().start(),
  (error) => {
    console.error(error);
    const note = document.getElementById("missing");
    if (note) note.hidden = false;
    document.getElementById("app")?.remove();
  },
);
