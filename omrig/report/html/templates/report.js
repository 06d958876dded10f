"use strict";
(() => {
  const root = document.documentElement;
  const stored = document.getElementById("figures");
  const figures = stored ? JSON.parse(stored.textContent) : {};
  const places = [...document.querySelectorAll("[data-figure]")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PAPER_WIDTH = 680;

  // A figure names the page's colours; plotly wants them as they are now.
  const coloured = (value, style) => {
    if (typeof value === "string") {
      return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, style)]));
    }
    return value;
  };

  const draw = (width) => {
    const style = getComputedStyle(root);
    for (const place of places) {
      const figure = coloured(figures[place.dataset.figure], style);
      const layout = {
        ...figure.layout,
        height: figure.height,
        width: width || place.clientWidth,
        // A finger that crosses a figure scrolls the page.
        dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
        font: { ...figure.layout.font, family: style.getPropertyValue("--font").trim() },
      };
      Plotly.react(place, figure.data, layout, { displayModeBar: false, scrollZoom: false });
    }
  };

  const drawAll = () => {
    if (!places.length) return;
    if (typeof Plotly === "undefined") {
      for (const place of places) {
        place.className = "note";
        place.textContent = "This curve needs the file plotly-….min.js, which was written beside this page.";
      }
      return;
    }
    draw();
    dark.addEventListener("change", () => draw());
    let width = root.clientWidth;
    addEventListener("resize", () => {
      // On a phone the height changes whenever the address bar hides.
      if (root.clientWidth !== width) draw();
      width = root.clientWidth;
    });
    addEventListener("beforeprint", () => {
      root.classList.add("printing");
      draw(PAPER_WIDTH);
    });
    addEventListener("afterprint", () => {
      root.classList.remove("printing");
      draw();
    });
  };

  const markSection = () => {
    const links = new Map(
      [...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]),
    );
    const observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          for (const link of links.values()) link.removeAttribute("aria-current");
          links.get(entry.target.id).setAttribute("aria-current", "location");
        }
      },
      { rootMargin: "-20% 0px -70% 0px" },
    );
    for (const id of links.keys()) observer.observe(document.getElementById(id));
  };

  drawAll();
  markSection();
})();
