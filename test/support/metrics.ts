/** A node's metrics page, read. */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export interface MetricsPage {
  samples: Sample[];
  /** Metric name → type, as the page declares it. */
  types: Map<string, string>;
}

export async function scrape(url: string): Promise<MetricsPage> {
  const text = await (await fetch(url)).text();
  const page: MetricsPage = { samples: [], types: new Map() };
  for (const line of text.split('\n')) {
    const [, declared, type] = /^# TYPE (\S+) (\S+)/.exec(line) ?? [];
    if (declared !== undefined && type !== undefined) page.types.set(declared, type);
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    page.samples.push({
      name,
      value: Number(value),
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]),
      ),
    });
  }
  return page;
}

/** The sum over all series of that name with these labels. */
export function total(page: MetricsPage, name: string, labels: Record<string, string> = {}): number {
  return page.samples
    .filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}

/** Every series that may only grow, by name and labels. */
export function counters(page: MetricsPage): Map<string, number> {
  const growing = page.samples.filter(({ name }) => {
    if (page.types.get(name) === 'counter') return true;
    const histogram = /^(.*)_(?:bucket|count|sum)$/.exec(name)?.[1];
    return histogram !== undefined && page.types.get(histogram) === 'histogram';
  });
  return new Map(growing.map(({ name, labels, value }) => [`${name} ${JSON.stringify(labels)}`, value]));
}
