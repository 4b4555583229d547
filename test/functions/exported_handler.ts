// The same style with the handler exported; it returns a bare value.
export function handler(request: Record<string, unknown>) {
  return { seen: request };
}
