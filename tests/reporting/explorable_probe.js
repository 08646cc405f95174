// What test_explorable.py asks of the page: `asked` stands before this, the answers go into <pre>.
// Virtual time draws no frames, so timers stand for them.
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 16);
addEventListener("unhandledrejection", (event) => { document.body.dataset.error = event.reason; });
addEventListener("error", (event) => { document.body.dataset.error = event.message; });
addEventListener("load", async () => {
  const found = { wrong: [] };
  const e = window.sigmaprop_explorable;
  const frame = () => new Promise(requestAnimationFrame);
  const look = async (what) => {
    await frame(); await frame();
    const drawn = [...document.querySelectorAll("svg *")];
    const broken = (one) => [...one.attributes].some((a) => /NaN|Infinity|undefined/.test(a.value));
    if (drawn.some(broken)) found.wrong.push(`broken drawing: ${what}`);
    const told = [...document.querySelectorAll("[data-out]")].map((one) => one.textContent);
    if (told.some((text) => !text || /NaN|undefined/.test(text))) found.wrong.push(`text: ${what}`);
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth + 1) found.wrong.push(`${wide} wide in ${innerWidth}: ${what}`);
  };
  const control = (name) => document.querySelector(`[data-name="${name}"]`);
  const set = async (name, value) => {
    control(name).value = value;
    control(name).dispatchEvent(new Event("input"));
    await look(`${name} = ${value}`);
  };
  const press = async (name, x, y) => {
    const svg = document.querySelector(`[data-chart="${name}"]`);
    svg.setPointerCapture = () => {};  // refuses pointers that no hand holds
    const box = svg.getBoundingClientRect();
    const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
    svg.dispatchEvent(new PointerEvent("pointerdown", at));
    svg.dispatchEvent(new PointerEvent("pointerup", at));
    await look(`press on ${name}`);
  };
  found.values = asked.settings.map(([f, x, sigma]) => e.values({ f, x, sigma }));
  found.single = e.values({ f: "sine", x: 0.25, sigma: 0.5 });
  found.flow = asked.games.map(e.flow);
  found.ending = asked.starts.map((start) => e.ending(start).map(String));
  found.path = asked.starts.map((start) => e.path(start, 400, asked.edge).at(-1));
  found.short = asked.numbers.map(e.short);
  const f = e.objective("sine", 1);
  const estimates = ["pathwise", "score", "baseline"].map(
    (name) => e.estimates(name, f, [0.4], 0.5, 2000, 8, e.normals(5, 16000)));
  found.estimates = estimates.map((all) => [e.meanOf(all)[0], e.spreadOf(all)]);
  await look("at first");
  found.first = document.querySelector('[data-out="sentence"]').textContent;
  for (const name of ["estimator", "f", "dim", "f", "learns", "placement", "loss"])
    for (const option of [...control(name).options]) if (!control(name).disabled) await set(name, option.value);
  for (const name of ["sigma", "draws", "x1", "x2", "v", "sigma0"])
    for (const end of ["min", "max"]) await set(name, control(name)[end]);
  const shown = document.querySelectorAll('[data-name="f"] option').length;
  if (shown !== new Set(asked.settings.map(([name]) => name)).size) found.wrong.push(`${shown} functions`);
  await set("f", "sine"); await set("dim", "1"); await set("draws", "2");
  await press("function", 0.5, 0.5); await press("flow", 0.5, 0.5);
  found.pressed = ["x1", "v", "sigma0"].map((name) => Number(control(name).value));
  document.querySelector(".explorable button").click();
  await look("fall");
  found.fallen = Number(control("sigma").value);
  const named = (one) => one.labels?.length || one.textContent;
  const mute = [...document.querySelectorAll("input, select, button")].filter((one) => !named(one));
  if (mute.length) found.wrong.push("a control without a name");
  const loaded = performance.getEntriesByType("resource").filter((one) => !one.name.startsWith("data:"));
  if (loaded.length) found.wrong.push(`requests: ${loaded.map((one) => one.name)}`);
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
