/** The names that stacks show: the user's own files by their path, packages without the folders of this machine. */

const MARK = '//# sourceMappingURL=data:application/json;base64,';

interface SourceMap {
  sources: string[];
  sourcesContent?: (string | null)[];
}

/** The namespace of the user's modules in esbuild, which prefixes their names in its source maps. */
export const USER_NAMESPACE = 'function';

/**
 * Rewrites the inline source map (ECMA-426) at the end of `bundle`: `function:hello.ts` becomes `hello.ts`, a
 * package's file loses its leading `../` and its content, which only the user's own code needs.
 */
export function nameSources(bundle: string): string {
  const at = bundle.lastIndexOf(MARK);
  if (at < 0) return bundle;
  const map: unknown = JSON.parse(Buffer.from(bundle.slice(at + MARK.length), 'base64').toString());
  if (!isSourceMap(map)) return bundle;
  const own = `${USER_NAMESPACE}:`;
  const renamed = {
    ...map,
    sources: map.sources.map((name) =>
      name.startsWith(own) ? name.slice(own.length) : name.replace(/^(\.\.\/)+/, ''),
    ),
    sourcesContent: map.sourcesContent?.map((content, index) =>
      map.sources[index]?.startsWith(own) ? content : null,
    ),
  };
  return `${bundle.slice(0, at)}${MARK}${Buffer.from(JSON.stringify(renamed)).toString('base64')}\n`;
}

const REQUIRE = '\nvar __require = __deno_internal_createRequire(import.meta.url);\n';
/** Lines that Deno puts in, and takes out for them. */
const REQUIRE_LINES = { own: 3, esbuilds: 6 };

/**
 * Where a package requires one of Node's modules, Deno 2.9 puts its own `require` in the place of esbuild's, and leaves the
 * map as it was: the lines that it took away are put back, empty ones, so that all below are where the map has them.
 */
export function alignLines(bundle: string): string {
  const at = bundle.indexOf(REQUIRE);
  const firstModule = bundle.search(/^\/\/ /m);
  if (at < 0 || (firstModule >= 0 && firstModule < at)) return bundle;
  const end = at + REQUIRE.length;
  const missing = '\n'.repeat(REQUIRE_LINES.esbuilds - REQUIRE_LINES.own);
  return bundle.slice(0, end) + missing + bundle.slice(end);
}

function isSourceMap(value: unknown): value is SourceMap {
  return typeof value === 'object' && value !== null && 'sources' in value && Array.isArray(value.sources);
}
