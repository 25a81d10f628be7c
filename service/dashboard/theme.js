// Light or dark, decided before anything is drawn: what was chosen here before, else what the system prefers.
"use strict";
(() => {
  const NAME = "pws-theme";
  const kept = () => {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null; // a browser that keeps nothing: the system decides
    }
  };
  const apply = (choice) => {
    if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
  };
  apply(kept());
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = document.documentElement.dataset.theme ?? "auto";
    select.addEventListener("change", () => {
      apply(select.value);
      try {
        localStorage.setItem(NAME, select.value);
      } catch {
        // Then it lasts as long as the page.
      }
    });
  });
})();
