/** Reads the Prometheus text of a node: sums over labels by name. */
export function parseFigures(text: string): ReadonlyMap<string, number> {
  const figures = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z_:][a-z0-9_:]*)(?:\{.*\})? (\S+)$/i.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    figures.set(name, (figures.get(name) ?? 0) + Number(value))
  }
  return figures
}
