// Where a surface has a given height, and the basin: cells are four triangles that meet in their centre, as in landscape.measures.

// Where between two corners the height is reached, as a point.
function crossing(a, b, level) {
  const share = (level - a.z) / (b.z - a.z);
  return [a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)];
}

// The four corners and the centre of the cell whose lower left node is (j, i), or null where a corner is missing.
function cellOf(x, y, z, j, i) {
  const corners = [[j, i], [j, i + 1], [j + 1, i + 1], [j + 1, i]].map(([row, column]) => (
    { x: x[column], y: y[row], z: z[row][column], id: row * x.length + column }));
  if (corners.some((corner) => corner.z === null)) return null;
  const mean = (name) => corners.reduce((sum, corner) => sum + corner[name] / 4, 0);
  return { corners, centre: { x: mean('x'), y: mean('y'), z: mean('z'), id: x.length * y.length + j * x.length + i } };
}

// Calls `visit` with the three vertices of every triangle.
function eachTriangle(x, y, z, visit) {
  for (let j = 0; j + 1 < y.length; j += 1) {
    for (let i = 0; i + 1 < x.length; i += 1) {
      const cell = cellOf(x, y, z, j, i);
      if (cell) cell.corners.forEach((corner, k) => visit(corner, cell.corners[(k + 1) % 4], cell.centre));
    }
  }
}

// The line at a height, as pairs of points; with `within` only where it bounds those vertices.
function levelLine(x, y, z, level, within = null) {
  const pieces = [];
  eachTriangle(x, y, z, (...vertices) => {
    const low = vertices.filter((vertex) => vertex.z <= level);
    if (low.length === 0 || low.length === 3 || (within && !low.some((vertex) => within.has(vertex.id)))) return;
    const high = vertices.filter((vertex) => vertex.z > level);
    const [alone, pair] = low.length === 1 ? [low[0], high] : [high[0], low];
    pieces.push(pair.map((vertex) => crossing(alone, vertex, level)));
  });
  return pieces;
}

// The vertices joined with the origin without climbing above the level.
function basinVertices(x, y, z, level) {
  const neighbours = new Map();
  const join = (a, b) => { neighbours.has(a) ? neighbours.get(a).push(b) : neighbours.set(a, [b]); };
  let start = null;
  eachTriangle(x, y, z, (...vertices) => {
    const low = vertices.filter((vertex) => vertex.z <= level);
    for (const one of low) {
      const far = Math.hypot(one.x, one.y);
      if (start === null || far < start.far) start = { id: one.id, far };
      for (const other of low) if (other !== one) join(one.id, other.id);
    }
  });
  const step = Math.hypot(...[x, y].map((axis) => Math.max(...axis.slice(1).map((value, i) => Math.abs(value - axis[i])), 0)));
  const found = new Set();
  const waiting = start !== null && start.far <= step ? [start.id] : []; // farther off it is another valley
  while (waiting.length) {
    const id = waiting.pop();
    if (!found.has(id)) {
      found.add(id);
      waiting.push(...(neighbours.get(id) ?? []));
    }
  }
  return found;
}

// The height of a basin's edge: so many nats above the origin as its surface says.
const rimOf = (plane, key) => plane.origin[key] + plane.basin_level;

// The edge of a plane's basin for a loss in nats; nothing for other metrics, or where the origin's loss is not known.
function basinEdge(plane, key) {
  const metric = metricOf(key);
  const origin = plane.origin[key];
  if (metric.name !== 'loss' || !metric.unit.startsWith('nat') || origin === undefined) return [];
  const { x, y } = gridOf(plane, key);
  const within = basinVertices(x, y, plane.values[key], rimOf(plane, key));
  return within.size ? levelLine(x, y, plane.values[key], rimOf(plane, key), within) : [];
}

// The lowest measured value on the grid.
function lowestOf(plane, key) {
  let best = null;
  plane.values[key].forEach((row, j) => row.forEach((value, i) => {
    if (value !== null && (best === null || value < best.value)) best = { value, j, i };
  }));
  if (!best) return null;
  const { x, y } = gridOf(plane, key);
  return { ...best, x: x[best.i], y: y[best.j] };
}

// The edge and the minimum do not change with the controls: they are found once for each plane and metric.
const found = new WeakMap();
function featuresOf(plane, key) {
  if (!found.has(plane)) found.set(plane, {});
  const all = found.get(plane);
  all[key] ??= { edge: basinEdge(plane, key), lowest: lowestOf(plane, key) };
  return all[key];
}

// Pieces as one polyline with gaps.
const polyline = (pieces, at) => pieces.flatMap(([a, b]) => [a[at], b[at], null]);
