/** The routes of an OpenAPI document, and a body for each that its schema allows. */

export interface Route {
  /** Lower case. */
  method: string;
  /** With `{name}` for a parameter. */
  path: string;
  /** Needs no credential. */
  public: boolean;
  /** Of the request's body, with every reference resolved; null: it has none. */
  body: Schema | null;
}

export interface Schema {
  type?: string | string[];
  example?: unknown;
  examples?: unknown[];
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  format?: string;
  minimum?: number;
  minLength?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

interface Operation {
  security?: unknown[];
  requestBody?: { content?: Record<string, { schema?: unknown }> };
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, unknown> };
}

export function readRoutes(given: unknown): Route[] {
  const document = given as Document;
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { security, requestBody }]) => {
      const schema = requestBody?.content?.['application/json']?.schema;
      const body = schema === undefined ? null : (resolved(schema, document) as Schema);
      return { method, path, public: security?.length === 0, body };
    }),
  );
}

/** The smallest body that the route's schema allows; null where it takes none. */
export function bodyFor({ body }: Route): unknown {
  return body === null ? null : sample(body);
}

function resolved(value: unknown, document: Document): unknown {
  if (Array.isArray(value)) return value.map((each) => resolved(each, document));
  if (typeof value !== 'object' || value === null) return value;
  const ref = '$ref' in value ? String(value.$ref) : null;
  if (ref !== null) return resolved(document.components?.schemas?.[ref.split('/').at(-1) ?? ''], document);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolved(each, document)]));
}

function sample(schema: Schema): unknown {
  const given = schema.const ?? schema.example ?? schema.examples?.[0] ?? schema.default ?? schema.enum?.[0];
  if (given !== undefined) return given;
  const choice = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (choice !== undefined) return sample(choice);
  const [type] = [schema.type].flat();
  switch (type) {
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [name, sample(schema.properties?.[name] ?? {})]),
      );
    case 'array':
      return [];
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    case 'string':
      return schema.format === 'uuid'
        ? '01900000-0000-7000-8000-000000000001'
        : schema.format === 'date-time'
          ? '2099-01-01T00:00:00.000Z'
          : 'sample'.padEnd(schema.minLength ?? 0, 'x');
    default:
      return {};
  }
}
