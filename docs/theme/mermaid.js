// Draws the blocks ```mermaid of a page in the colours of its theme. `make docs` puts mermaid.min.js beside the book.
(() => {
  const blocks = [...document.querySelectorAll("code.language-mermaid")];
  if (blocks.length === 0) return;
  const isDark = () => ["navy", "coal", "ayu"].some((name) => document.documentElement.classList.contains(name));
  const root = typeof path_to_root === "string" ? path_to_root : "";
  const pictures = blocks.map((block) => {
    const picture = document.createElement("pre");
    picture.className = "mermaid";
    const text = block.textContent;
    (block.closest("pre") ?? block).replaceWith(picture);
    return { picture, text };
  });
  let drawn;
  const draw = async () => {
    if (drawn === isDark()) return;
    drawn = isDark();
    window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: drawn ? "dark" : "neutral" });
    for (const { picture, text } of pictures) {
      picture.removeAttribute("data-processed");
      picture.textContent = text;
    }
    await window.mermaid.run({ nodes: pictures.map(({ picture }) => picture) });
  };
  const script = document.createElement("script");
  script.src = `${root}mermaid.min.js`;
  script.onload = () => {
    draw();
    new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
  };
  document.head.append(script);
})();
