/** The databases of Deno 2.9 in DENO_DIR. Where another Deno keeps others, nothing is found and all is compiled as usual. */

/** V8's code caches: table codecache (specifier, type, source_hash, data). */
export const V8_CACHE_FILE = 'v8_code_cache_v2';
/** What modules import: table moduleinfocache. */
export const IMPORTS_CACHE_FILE = 'dep_analysis_cache_v2';
/** What CommonJS modules export: as good as empty here, and made at each start where it is missing. */
const EXPORTS_CACHE_FILE = 'node_analysis_cache_v2';
/** Those that a process begins with a copy of, as one that ran the runner alone left them (runner_cache.ts). */
export const RUNNER_CACHE_FILES = [V8_CACHE_FILE, IMPORTS_CACHE_FILE, EXPORTS_CACHE_FILE] as const;
