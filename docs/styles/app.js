// Every style of the pack: thumbnails under headings, a search, and lines of Python to copy.
(async () => {
  const page = document.querySelector("#styles-page");

  /** The index, as a script: pages that are opened as files may not fetch. */
  const loaded = await new Promise((settle) => {
    const script = document.createElement("script");
    script.src = "sheets/styles.js";
    script.addEventListener("load", () => settle(true));
    script.addEventListener("error", () => settle(false));
    document.head.append(script);
  });
  if (!loaded) {
    page.textContent = "This page was built without its thumbnails: make docs";
    return;
  }
  const { columns, rows, styles } = globalThis.STYLES;
  const kinds = [...new Set(styles.map(({ tags }) => tags[0]))];
  let kind = "";

  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const line = (name) => `Restyle(${JSON.stringify(name)})`;
  const counted = (number) => `${number.toLocaleString("en")} ${number === 1 ? "style" : "styles"}`;
  const selected = (entry) =>
    styles.filter(({ name, tags }) => name === entry || tags.includes(entry)).length;

  /** The part of a sheet that shows a style, whatever the size of the element. */
  function paint(element, number) {
    const held = columns * rows;
    const place = number % held;
    const last = styles.length - (number - place);
    const high = Math.min(rows, Math.ceil(last / columns));
    const share = (at, of) => (of > 1 ? (100 * at) / (of - 1) : 0);
    const [x, y] = [place % columns, Math.floor(place / columns)];
    element.style.backgroundImage = `url("sheets/sheet-${Math.floor(number / held)}.webp")`;
    element.style.backgroundSize = `${100 * columns}% ${100 * high}%`;
    element.style.backgroundPosition = `${share(x, columns)}% ${share(y, high)}%`;
  }

  function copying(text) {
    const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy ${text}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed: select the line"; // such as over http from another host
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    return button;
  }

  // what is near the window is loaded, nothing else
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        paint(target, thumbs.indexOf(target));
        near.unobserve(target);
      }
    },
    { rootMargin: "300px" },
  );

  const thumbs = styles.map((style, number) => {
    const thumb = make("button", { type: "button", className: "thumb", title: style.name });
    thumb.setAttribute("aria-label", style.name);
    thumb.setAttribute("aria-pressed", "false");
    thumb.addEventListener("click", () => choose(number));
    near.observe(thumb);
    return thumb;
  });

  const groups = new Map();
  styles.forEach(({ tags }, number) => {
    const key = tags.slice(0, 2).join("\n");
    groups.set(key, [...(groups.get(key) ?? []), number]);
  });
  const sections = [...groups].map(([key, numbers]) => {
    const [of, tag = of] = key.split("\n");
    const all = selected(tag);
    const told = all === numbers.length ? counted(all) : `${numbers.length} of ${counted(all)}`;
    const title = make(
      "div",
      { className: "title" },
      make("h2", { textContent: tag }),
      make("span", { textContent: tag === of ? told : `${of}, ${told}` }),
      make("code", { textContent: line(tag) }),
      copying(line(tag)),
    );
    const shown = make("div", { className: "thumbs" }, ...numbers.map((number) => thumbs[number]));
    return { of, numbers, element: make("section", {}, title, shown) };
  });

  const words = make("input", { type: "search", placeholder: "Search names and tags" });
  words.setAttribute("aria-label", "Search names and tags");
  const choices = ["", ...kinds].map((name) => {
    const button = make("button", { type: "button", textContent: name || "all" });
    button.addEventListener("click", () => {
      kind = name;
      filter();
    });
    return button;
  });
  const count = make("p", { className: "count" });
  count.setAttribute("role", "status");
  const chosen = make("div", { className: "chosen", hidden: true });
  chosen.setAttribute("role", "status");

  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { of, numbers, element } of sections) {
      let here = 0;
      for (const number of numbers) {
        const { name, tags } = styles[number];
        const text = [name, ...tags].join(" ").toLowerCase();
        const fits = (!kind || of === kind) && wanted.every((word) => text.includes(word));
        thumbs[number].hidden = !fits;
        here += fits;
      }
      element.hidden = !here;
      shown += here;
    }
    choices.forEach((button, k) =>
      button.setAttribute("aria-pressed", String(["", ...kinds][k] === kind)),
    );
    count.textContent = counted(shown);
  }

  function choose(number) {
    const { name, tags } = styles[number];
    thumbs.forEach((thumb, k) => thumb.setAttribute("aria-pressed", String(k === number)));
    const picture = make("i");
    paint(picture, number);
    const code = line(name);
    const more = selected(name) - 1;
    const told = `${name}: ${tags.join(", ")}`;
    const also = more ? `. The name is a tag, too: the line draws among ${counted(more + 1)}.` : "";
    chosen.replaceChildren(
      picture,
      make("div", {}, make("p", { textContent: told + also }), make("code", { textContent: code })),
      copying(code),
    );
    chosen.hidden = false;
  }

  words.addEventListener("input", filter);
  page.replaceChildren(
    make("div", { className: "find" }, words, ...choices, count),
    ...sections.map(({ element }) => element),
    chosen,
  );
  filter();
  page.dataset.ready = "";
})();
