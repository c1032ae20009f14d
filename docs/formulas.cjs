// Formulas without a script in the reader: a line of JSON in, {tex, display}; a line out, {svg, mathml}.
const lines = require("node:readline").createInterface({ input: process.stdin });
const ready = require("mathjax").init({ loader: { load: ["input/tex", "output/svg"] }, svg: { fontCache: "none" } });
lines.on("line", async (line) => {
  const { tex, display } = JSON.parse(line);
  const mathjax = await ready;
  const svg = mathjax.startup.adaptor.innerHTML(mathjax.tex2svg(tex, { display }));
  console.log(JSON.stringify({ svg, mathml: mathjax.tex2mml(tex, { display }) }));
});
