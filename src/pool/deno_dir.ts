/** The databases of Deno 2.9 in DENO_DIR. Where another Deno keeps others, nothing is found and all is compiled as usual. */

/** V8's code caches: table codecache (specifier, type, source_hash, data). */
export const V8_CACHE_FILE = 'v8_code_cache_v2';
/** What modules import: table moduleinfocache. */
export const IMPORTS_CACHE_FILE = 'dep_analysis_cache_v2';
