
/* page.js - makes the charts of a page: Chart.js configurations (web/charts) with kiln's data sets.
 *
 * kiln's own members of a configuration: "kiln.roles" (styles by role), "kiln.toggle" (axes that can
 * be switched to logarithmic), "kiln.units" (what x may be counted in; a data set's "per" has its
 * factors), "kiln.categories" (the axes of parallel coordinates, which can be brushed), and data sets
 * {role, label, key, colour, xy}. Texts "@name" are
 * colours of the style sheet (--name), "@name/20" with that many per cent of opacity; "@series" is
 * the data set's own colour, "@marker" its marker, "@heat:0.7" a place on the heat scale. Keys: arrows move along the curves, + and - zoom,
 * 0 shows all again, Escape lets go. */
(function () {
  'use strict';
  const MARKERS = ['circle', 'circle', 'rect', 'triangle', 'rectRot', 'rectRounded', 'star', 'crossRot'];
  const root = document.documentElement;

  /* ---- theme ---- */
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let chosen = null;
  try { chosen = localStorage.getItem('kiln-theme'); } catch (error) { /* a file: no storage */ }

  function applyTheme(name) {
    root.dataset.theme = name || chosen || (dark.matches ? 'dark' : 'light');
    document.querySelectorAll('figure.chart').forEach(redraw);
  }

  /* For paper: light, and charts and lines of the size that they have there. */
  function paper(on) {
    root.toggleAttribute('data-paper', on);
    applyTheme(on ? 'light' : undefined);
    document.querySelectorAll('figure.chart').forEach((figure) => { if (figure.kiln) figure.kiln.chart.resize(); });
    drawAllLines();
  }

  function switchTheme() {
    chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
    try { localStorage.setItem('kiln-theme', chosen); } catch (error) { /* forgotten, then */ }
    applyTheme();
  }

  function parse(hex) {
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  /* A colour of the heat scale, 0 to 1; its pale end is left out, so that it is seen on the card. */
  function heat(share, style) {
    const [low, high] = ['--heat-low', '--heat-high'].map((n) => parse(style.getPropertyValue(n).trim()));
    const t = 0.18 + 0.82 * share;
    return `rgb(${low.map((v, i) => Math.round(v + (high[i] - v) * t)).join(', ')})`;
  }

  function colour(name, series, style) {
    if (name.startsWith('heat:')) return heat(+name.slice(5), style);
    const [base, percent] = name.split('/');
    const own = series > 0 ? 's' + ((series - 1) % 8 + 1) : 'muted';
    const hex = style.getPropertyValue('--' + (base === 'series' ? own : base)).trim();
    if (!percent) return hex;
    const [r, g, b] = parse(hex);
    return `rgba(${r}, ${g}, ${b}, ${percent / 100})`;
  }

  /* A copy of `value` with every "@..." resolved. */
  function resolve(value, series, style) {
    if (typeof value === 'string' && value[0] === '@') {
      if (value === '@marker') return MARKERS[series % MARKERS.length];
      return colour(value.slice(1), series, style);
    }
    if (Array.isArray(value)) return value.map((v) => resolve(v, series, style));
    if (value && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v, series, style)]));
    }
    return value;
  }

  /* ---- numbers ---- */
  function format(value) {
    if (!Number.isFinite(value)) return '—';
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace('e+', 'e');
    return String(+value.toPrecision(4));
  }

  /* ---- from kiln's data to Chart.js' ---- */
  function makeDataset(set, roles, style, unit) {
    const role = roles[set.role] || {};
    const points = [], factor = set.per ? set.per[unit] : 1;
    for (let i = 0; i + 1 < set.xy.length; i += 2) points.push({ x: set.xy[i] * factor, y: set.xy[i + 1] });
    const { role: name, colour: number, xy, style: own, per, ...rest } = set;
    return { ...resolve({ ...role, ...own }, number, style), ...rest, role: name, colour: number, data: points };
  }

  function makeConfig(figure) {
    const source = figure.kiln.source, style = getComputedStyle(root);
    const config = {
      type: source.type,
      data: { datasets: source.data.datasets.map((set) => makeDataset(set, source.kiln.roles, style, figure.kiln.unit)) },
      options: resolve(source.options, 0, style),
      plugins: [zoom(figure), guide, ends],
    };
    if (source.data.labels) config.data.labels = source.data.labels;
    const options = config.options, tooltip = options.plugins.tooltip;
    if (source.kiln.units) options.scales.x.title.text = source.kiln.units[figure.kiln.unit];
    if (source.kiln.categories) dim(figure, config.data.datasets, style);
    for (const [axis, scale] of Object.entries(options.scales)) {
      const choice = figure.kiln.types[axis];
      if (choice) scale.type = choice;
      const range = figure.kiln.range[axis];
      if (range) { scale.min = range[0]; scale.max = range[1]; }
      scale.ticks = { ...scale.ticks, callback: tick(scale, source.kiln.categories) };
      if (scale.type === 'logarithmic') delete scale.ticks.maxTicksLimit;
    }
    options.plugins.ends = source.kiln.categories ? { categories: source.kiln.categories, brush: figure.kiln.brush } : false;
    if (source.kiln.categories) {
      options.scales.x.max = source.kiln.categories.length - 1;
      options.scales.x.afterBuildTicks = (s) => { s.ticks = source.kiln.categories.map((c, i) => ({ value: i })); };
    }
    options.events = ['mousemove', 'mouseout', 'mousedown', 'mouseup', 'click', 'touchstart', 'touchmove'];
    options.hover = { mode: tooltip.mode };
    tooltip.filter = (item) => item.dataset.hover !== false;
    tooltip.callbacks = source.kiln.categories ? parallelTexts : curveTexts(options.scales);
    if (tooltip.itemSort) tooltip.itemSort = (a, b) => b.parsed.y - a.parsed.y;
    return config;
  }

  /* Labels of an axis; of a logarithmic one only 1, 2 and 5 of each decade. */
  function tick(scale, categories) {
    return function (value) {
      if (categories && this.axis === 'x') return categories[value] ? categories[value].name : '';
      if (this.type !== 'logarithmic') return format(value);
      const digit = Math.round(value / Math.pow(10, Math.floor(Math.log10(value) + 1e-9)));
      const decades = Math.log10(this.max / this.min);
      return digit === 1 || (decades < 3 && (digit === 2 || digit === 5)) ? format(value) : '';
    };
  }

  function curveTexts(scales) {
    const unit = (scales.x.title && scales.x.title.text) || 'x';
    return {
      title: (items) => items.length ? `${unit} ${format(items[0].parsed.x)}` : '',
      label: (item) => {
        const note = item.raw.note || '';
        return ` ${item.dataset.label}: ${format(item.parsed.y)}${spreadAt(item)}${note}`;
      },
    };
  }

  /* " ± sd" where the curve has a band. */
  function spreadAt(item) {
    const band = item.chart.data.datasets.find((d) => d.role === 'band' && d.label === item.dataset.label);
    const point = band && band.data.find((p) => p.x === item.parsed.x);
    return point && point.y !== item.parsed.y ? ` ± ${format(point.y - item.parsed.y)}` : '';
  }

  const parallelTexts = {
    title: () => '',
    label: (item) => (item.chart.tooltip.dataPoints[0] === item ? ' ' + item.dataset.texts.join(' · ') : ''),
  };

  /* Parallel axes: what their ends stand for. */
  const ends = {
    id: 'ends',
    afterDraw(chart) {
      const { categories, brush } = chart.options.plugins.ends || {}, { ctx, chartArea } = chart;
      if (!Array.isArray(categories)) return;
      const style = getComputedStyle(root);
      ctx.save();
      ctx.fillStyle = style.getPropertyValue('--muted');
      ctx.font = '12px ' + getComputedStyle(document.body).fontFamily;
      ctx.textAlign = 'center';
      categories.forEach((c, i) => {
        const x = chart.scales.x.getPixelForValue(i);
        ctx.fillText(c.high, x, chartArea.top - 8);
        ctx.fillText(c.low, x, chartArea.bottom + 15);
        if (!brush[i]) return;
        const [top, bottom] = [brush[i][1], brush[i][0]].map((v) => chart.scales.y.getPixelForValue(v));
        ctx.save();
        ctx.fillStyle = colour('accent/30', 0, style);
        ctx.fillRect(x - 7, top, 14, Math.max(bottom - top, 2));
        ctx.restore();
      });
      ctx.restore();
    },
  };

  /* ---- hovering: of each curve the point nearest in x, and a rule there ---- */
  function xNearest (chart, event) {
    const x = event.x, found = [];
    if (!inside(chart, event)) return found;
    let anchor = null;
    const metas = hoverable(chart);
    const nearest = (meta) => {
      let best = 0;
      meta.data.forEach((p, i) => { if (Math.abs(p.x - x) < Math.abs(meta.data[best].x - x)) best = i; });
      return best;
    };
    metas.forEach((meta) => {
      const i = nearest(meta), away = Math.abs(meta.data[i].x - x);
      if (anchor === null || away < anchor) anchor = away;
    });
    metas.forEach((meta) => {
      const i = nearest(meta);
      if (Math.abs(meta.data[i].x - x) <= anchor + 12) found.push({ element: meta.data[i], datasetIndex: meta.index, index: i });
    });
    return found;
  }
  if (window.Chart) Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  if (window.Chart) Chart.Interaction.modes['x-nearest'] = xNearest;

  function hoverable(chart) {
    return chart.getSortedVisibleDatasetMetas().filter((m) => chart.data.datasets[m.index].hover !== false && m.data.length);
  }

  function inside(chart, point) {
    const a = chart.chartArea;
    return a && point.x >= a.left - 2 && point.x <= a.right + 2 && point.y >= a.top - 2 && point.y <= a.bottom + 2;
  }

  const guide = {
    id: 'guide',
    beforeDatasetsDraw(chart) {
      const active = chart.tooltip && chart.tooltip.getActiveElements();
      if (!active || !active.length || chart.options.plugins.guide === false) return;
      const { ctx, chartArea } = chart, x = active[0].element.x;
      ctx.save();
      ctx.strokeStyle = getComputedStyle(root).getPropertyValue('--muted');
      ctx.setLineDash([2, 3]);
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      ctx.restore();
    },
  };

  /* ---- dragging zooms ---- */
  function zoom(figure) {
    let start = null, end = null;
    return {
      id: 'zoom',
      beforeEvent(chart, args) {
        const { type, x, y } = args.event;
        if (type === 'mousedown' && inside(chart, { x, y })) { start = end = { x, y }; return; }
        if (type === 'mousemove' && start) { end = { x, y }; args.changed = true; return; }
        if (type === 'mouseup' && start) {
          const [from, to] = [start, end];
          start = end = null;
          args.changed = true;
          if (figure.kiln.source.kiln.categories) brushTo(figure, chart, from, to);
          else if (Math.abs(to.x - from.x) > 8) zoomTo(figure, chart, from, to);
        }
        if (type === 'mouseout') start = end = null;
      },
      afterDraw(chart) {
        if (!start || !end) return;
        const a = chart.chartArea, ctx = chart.ctx, tall = Math.abs(end.y - start.y) > 30;
        const x = Math.max(Math.min(start.x, end.x), a.left), right = Math.min(Math.max(start.x, end.x), a.right);
        const y = tall ? Math.max(Math.min(start.y, end.y), a.top) : a.top;
        const bottom = tall ? Math.min(Math.max(start.y, end.y), a.bottom) : a.bottom;
        ctx.save();
        ctx.fillStyle = colour('accent/14', 0, getComputedStyle(root));
        ctx.fillRect(x, y, right - x, bottom - y);
        ctx.restore();
      },
    };
  }

  function zoomTo(figure, chart, from, to) {
    const set = (axis, a, b) => {
      const s = chart.scales[axis], p = s.getValueForPixel(a), q = s.getValueForPixel(b);
      figure.kiln.range[axis] = [Math.max(Math.min(p, q), s.min), Math.min(Math.max(p, q), s.max)];
    };
    set('x', from.x, to.x);
    if (Math.abs(to.y - from.y) > 30) set('y', from.y, to.y);
    else fitHeight(figure, chart);
    redraw(figure);
  }

  /* The y range of what lies in the x range, with a little air. */
  function fitHeight(figure, chart) {
    const [low, high] = figure.kiln.range.x, seen = [];
    chart.data.datasets.forEach((set, i) => {
      if (chart.isDatasetVisible(i)) set.data.forEach((p) => { if (p.x >= low && p.x <= high) seen.push(p.y); });
    });
    if (seen.length < 2) return;
    const least = seen.reduce((a, b) => Math.min(a, b)), most = seen.reduce((a, b) => Math.max(a, b));
    const logarithmic = chart.scales.y.type === 'logarithmic' && least > 0;
    const air = (most - least) * 0.05;
    if (most > least) figure.kiln.range.y = logarithmic ? [least * 0.95, most * 1.05] : [least - air, most + air];
  }

  function zoomBy(figure, factor) {
    if (figure.kiln.source.kiln.categories) return;
    const s = figure.kiln.chart.scales.x, logarithmic = s.type === 'logarithmic';
    const to = logarithmic ? Math.log : (v) => v, from = logarithmic ? Math.exp : (v) => v;
    const middle = (to(s.min) + to(s.max)) / 2, half = (to(s.max) - to(s.min)) / 2 * factor;
    figure.kiln.range.x = [from(middle - half), from(middle + half)];
    fitHeight(figure, figure.kiln.chart);
    redraw(figure);
  }

  function showAll(figure) {
    figure.kiln.range = {};
    figure.kiln.brush = {};
    redraw(figure);
  }

  /* ---- brushing parallel coordinates: figure.kiln.brush = {axis: [low, high]}, shares of an axis ---- */
  function matches(figure, points) {
    const near = 1e-6;
    return Object.entries(figure.kiln.brush).every(([axis, [low, high]]) => {
      const point = points.find((p) => p.x === +axis);
      return point && point.y >= low - near && point.y <= high + near;
    });
  }

  /* Lines that are not chosen step back. */
  function dim(figure, datasets, style) {
    if (!Object.keys(figure.kiln.brush).length) return;
    datasets.filter((set) => !matches(figure, set.data)).forEach((set) => {
      Object.assign(set, { borderColor: colour('muted/12', 0, style), borderWidth: 1, order: 2, hover: false, pointHitRadius: 0 });
    });
  }

  /* A drag along an axis chooses a stretch of it; a click there lets it go. */
  function brushTo(figure, chart, from, to) {
    const last = figure.kiln.source.kiln.categories.length - 1;
    const axis = Math.min(Math.max(Math.round(chart.scales.x.getValueForPixel(from.x)), 0), last);
    if (Math.abs(chart.scales.x.getPixelForValue(axis) - from.x) > 40) return;
    const ends = [from.y, to.y].map((y) => Math.min(Math.max(chart.scales.y.getValueForPixel(y), 0), 1));
    if (Math.abs(to.y - from.y) < 6) delete figure.kiln.brush[axis];
    else figure.kiln.brush[axis] = [Math.min(...ends), Math.max(...ends)];
    redraw(figure);
  }

  /* What stands at a share of an axis. */
  function valueAt(category, share) {
    const { least, most, logarithmic } = category;
    if (least === undefined) return `${Math.round(100 * share)} %`;
    return format(logarithmic ? least * Math.pow(most / least, share) : least + (most - least) * share);
  }

  function slider(figure, axis, end) {
    const category = figure.kiln.source.kiln.categories[axis], now = figure.kiln.brush[axis] || [0, 1];
    const input = document.createElement('input');
    Object.assign(input, { type: 'range', min: 0, max: 1, step: 0.01, value: now[end] });
    input.dataset.what = `brush ${axis} ${end}`;
    input.setAttribute('aria-label', `${category.name}, ${end ? 'at most' : 'at least'}`);
    input.setAttribute('aria-valuetext', valueAt(category, now[end]));
    input.addEventListener('input', () => {
      const range = [...(figure.kiln.brush[axis] || [0, 1])];
      range[end] = +input.value;
      range[1 - end] = end ? Math.min(range[0], range[1]) : Math.max(range[0], range[1]);
      if (range[0] <= 0 && range[1] >= 1) delete figure.kiln.brush[axis];
      else figure.kiln.brush[axis] = range;
      redraw(figure);
    });
    return input;
  }

  /* The same choice for the keyboard: two sliders an axis, and how many lines are left. */
  function drawBrushes(figure) {
    const categories = figure.kiln.source.kiln.categories;
    if (!categories) return;
    let box = figure.querySelector('.brushes');
    if (!box) {
      box = document.createElement('div');
      box.className = 'brushes';
      figure.querySelector('.plot').after(box);
      categories.forEach((category, axis) => {
        const set = document.createElement('fieldset'), legend = document.createElement('legend');
        legend.textContent = category.name;
        set.append(legend, slider(figure, axis, 0), slider(figure, axis, 1), document.createElement('output'));
        box.append(set);
      });
      const count = document.createElement('p');
      count.setAttribute('role', 'status');
      box.append(count);
    }
    categories.forEach((category, axis) => {
      const set = box.children[axis], now = figure.kiln.brush[axis] || [0, 1];
      set.querySelectorAll('input').forEach((input, end) => {
        input.value = now[end];
        input.setAttribute('aria-valuetext', valueAt(category, now[end]));
      });
      set.querySelector('output').textContent = figure.kiln.brush[axis] ? now.map((v) => valueAt(category, v)).join(' to ') : 'all';
    });
    const lines = figure.kiln.chart.data.datasets, left = lines.filter((set) => matches(figure, set.data)).length;
    box.lastChild.textContent = left === lines.length ? `all ${left} configurations` : `${left} of ${lines.length} configurations`;
  }

  /* ---- legend and buttons ---- */
  function sample(figure, set) {
    const style = getComputedStyle(root), role = figure.kiln.source.kiln.roles[set.role];
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
    svg.setAttribute('viewBox', '0 0 26 12');
    svg.setAttribute('aria-hidden', 'true');
    const attributes = { x1: 1, x2: 25, y1: 6, y2: 6, 'stroke-width': 3, stroke: colour('series', set.colour, style) };
    if (role.legend === 'dashed') attributes['stroke-dasharray'] = '6 4';
    if (role.legend === 'dot') { attributes.x1 = attributes.x2 = 13; attributes['stroke-width'] = 9; attributes['stroke-linecap'] = 'round'; }
    Object.entries(attributes).forEach(([k, v]) => line.setAttribute(k, v));
    svg.append(line);
    return svg;
  }

  function button(text, title, action) {
    const b = document.createElement('button');
    b.type = 'button';
    b.textContent = text;
    b.title = title;
    b.addEventListener('click', action);
    return b;
  }

  function drawLegend(figure) {
    const legend = figure.querySelector('.legend'), { source, hidden, types, range } = figure.kiln;
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.what : null;
    const mine = legend.contains(document.activeElement);
    legend.replaceChildren();
    const seen = new Set();
    source.data.datasets.forEach((set) => {
      const role = source.kiln.roles[set.role] || {};
      if (!role.legend || seen.has(set.key)) return;
      seen.add(set.key);
      const b = button('', 'show or hide', () => {
        if (!hidden.delete(set.key)) hidden.add(set.key);
        redraw(figure);
      });
      b.className = 'key';
      b.dataset.what = 'key ' + set.key;
      b.setAttribute('aria-pressed', String(!hidden.has(set.key)));
      b.append(sample(figure, set), document.createTextNode(set.key));
      legend.append(b);
    });
    const spacer = document.createElement('span');
    spacer.className = 'spacer';
    legend.append(spacer);
    (source.kiln.toggle || []).forEach((axis) => {
      const now = types[axis] || source.options.scales[axis].type;
      const b = button(`${axis} ${now === 'logarithmic' ? 'logarithmic' : 'linear'}`, `scale of the ${axis} axis`, () => {
        types[axis] = now === 'logarithmic' ? 'linear' : 'logarithmic';
        delete range[axis];
        redraw(figure);
      });
      b.dataset.what = 'scale ' + axis;
      legend.append(b);
    });
    const units = source.kiln.units;
    if (units) {
      const b = button(`x ${units[figure.kiln.unit]}`, 'what the x axis counts', () => {
        figure.kiln.unit = (figure.kiln.unit + 1) % units.length;
        delete range.x;
        redraw(figure);
      });
      b.dataset.what = 'units';
      legend.append(b);
    }
    if (Object.keys(range).length || Object.keys(figure.kiln.brush).length) {
      const b = button('Show all', 'undo the zoom (or press 0)', () => showAll(figure));
      b.dataset.what = 'all';
      legend.append(b);
    }
    if (mine && focused) {
      const again = [...legend.children].find((c) => c.dataset.what === focused);
      if (again) again.focus();
    }
  }

  /* ---- keyboard ---- */
  function move(figure, by) {
    const chart = figure.kiln.chart;
    const metas = hoverable(chart);
    if (!metas.length) return;
    const longest = metas.reduce((a, b) => (b.data.length > a.data.length ? b : a));
    const count = longest.data.length;
    figure.kiln.at = Math.min(Math.max((figure.kiln.at === undefined ? (by > 0 ? -1 : count) : figure.kiln.at) + by, 0), count - 1);
    const point = longest.data[figure.kiln.at], area = chart.chartArea;
    const event = { x: point.x, y: (area.top + area.bottom) / 2 };
    const active = xNearest(chart, event)
      .map(({ datasetIndex, index }) => ({ datasetIndex, index }));
    chart.setActiveElements(active);
    chart.tooltip.setActiveElements(active, { x: point.x, y: point.y });
    chart.update('none');
    const tip = chart.tooltip;
    const lines = (tip.title || []).concat((tip.body || []).flatMap((b) => b.lines.map((l) => l.trim())));
    figure.querySelector('.readout').textContent = lines.join('; ');
  }

  function onKey(figure, event) {
    const chart = figure.kiln.chart, step = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowRight: () => move(figure, step),
      ArrowLeft: () => move(figure, -step),
      '+': () => zoomBy(figure, 0.5),
      '-': () => zoomBy(figure, 2),
      '0': () => showAll(figure),
      Escape: () => { chart.setActiveElements([]); chart.tooltip.setActiveElements([], { x: 0, y: 0 }); chart.update('none'); },
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  }

  /* ---- figures ---- */
  function redraw(figure) {
    if (!figure.kiln) return;
    const config = makeConfig(figure), chart = figure.kiln.chart;
    config.data.datasets.forEach((set) => { set.hidden = figure.kiln.hidden.has(set.key); });
    if (chart) {
      chart.data = config.data;
      chart.options = config.options;
      chart.update('none');
    } else {
      figure.kiln.chart = new Chart(figure.querySelector('canvas'), config);
    }
    drawLegend(figure);
    drawBrushes(figure);
  }

  function setUp(figure) {
    if (!window.Chart) {
      figure.querySelector('.plot').hidden = true;
      figure.querySelector('details').open = true;
      return;
    }
    const source = JSON.parse(figure.querySelector('script').textContent);
    figure.kiln = { source, chart: null, hidden: new Set(source.kiln.hidden || []), types: {}, range: {}, unit: 0, brush: {} };
    redraw(figure);
    const canvas = figure.querySelector('canvas');
    canvas.addEventListener('keydown', (event) => onKey(figure, event));
    canvas.addEventListener('dblclick', () => showAll(figure));
  }

  /* New HTML for a part of the page. A chart that was there stays, with its zoom and what is hidden
   * in it, and gets new data; it keeps the keyboard's focus. */
  function replace(part, html) {
    const fresh = document.createElement('template'), focused = document.activeElement;
    const open = new Set([...part.querySelectorAll('details[open]')].map((d) => d.closest('[id]').id));
    fresh.innerHTML = html;
    fresh.content.querySelectorAll('figure.chart').forEach((next) => {
      const old = part.querySelector('#' + CSS.escape(next.id));
      if (!old || !old.kiln) return;
      old.kiln.source = JSON.parse(next.querySelector('script').textContent);
      ['figcaption', '.notes', '.numbers tbody'].forEach((what) => {
        old.querySelector(what).replaceChildren(...next.querySelector(what).childNodes);
      });
      old.querySelector('canvas').setAttribute('aria-label', next.querySelector('canvas').getAttribute('aria-label'));
      next.replaceWith(old);
    });
    part.replaceChildren(fresh.content);
    part.querySelectorAll('details').forEach((d) => { if (open.has(d.closest('[id]').id)) d.open = true; });
    part.querySelectorAll('figure.chart').forEach((figure) => (figure.kiln ? redraw(figure) : setUp(figure)));
    part.querySelectorAll('.heat').forEach(drawLines);
    if (focused && part.contains(focused)) focused.focus();
  }

  /* ---- heat maps: lines of equal lr/batch through the ringed cell ---- */
  function drawLines(map) {
    map.querySelectorAll('svg').forEach((old) => old.remove());
    const ring = map.querySelector('td.ring'), box = map.getBoundingClientRect();
    if (!map.classList.contains('rates') || !ring) return;
    const cells = [...map.querySelectorAll('td[data-x]')].map((td) => {
      const r = td.getBoundingClientRect();
      return { lr: +td.dataset.x, batch: +td.dataset.y, x: r.left + r.width / 2 - box.left, y: r.top + r.height / 2 - box.top };
    });
    const columns = line(cells, 'lr', 'x'), rows = line(cells, 'batch', 'y');
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('viewBox', `0 0 ${box.width} ${box.height}`);
    [['iso', 1], ['root', 0.5]].forEach(([name, power]) => {
      const points = rows.map(([batch, y]) => {
        const lr = ring.dataset.x * Math.pow(batch / ring.dataset.y, power);
        return [between(columns, lr), y];
      }).filter(([x]) => x !== null);
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
      path.setAttribute('points', points.map((p) => p.join(',')).join(' '));
      path.setAttribute('class', name);
      svg.append(path);
    });
    map.append(svg);
  }

  function drawAllLines() {
    document.querySelectorAll('.heat').forEach(drawLines);
  }

  /* [value, pixel] of each row or column, ascending. */
  function line(cells, value, pixel) {
    const seen = new Map(cells.map((c) => [c[value], c[pixel]]));
    return [...seen].sort((a, b) => a[0] - b[0]);
  }

  /* The pixel of a value between two columns, on a logarithmic scale; null outside. */
  function between(places, value) {
    const near = 1e-9;
    for (let i = 0; i + 1 < places.length; i++) {
      const [a, x] = places[i], [b, y] = places[i + 1];
      if (value >= a * (1 - near) && value <= b * (1 + near)) return x + (y - x) * Math.log(value / a) / Math.log(b / a);
    }
    return null;
  }

  window.kiln = { replace, setUp, redraw };
  applyTheme();
  const themeButton = document.getElementById('theme');
  if (themeButton) { themeButton.hidden = false; themeButton.addEventListener('click', switchTheme); }
  dark.addEventListener('change', () => applyTheme());
  addEventListener('beforeprint', () => paper(true));
  addEventListener('afterprint', () => paper(false));
  document.querySelectorAll('figure.chart').forEach(setUp);
  drawAllLines();
  addEventListener('resize', drawAllLines);
})();
