// Throws while it loads.
type Config = { url?: string };

function configure(config: Config): string {
  if (config.url === undefined) throw new Error('DATABASE is not configured'); // line 5
  return config.url;
}

const url = configure({});

export default (): Response => new Response(url);
