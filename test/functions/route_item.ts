// Takes /shop/:id and what is below it.
// @hearth:route /shop/:id
// @hearth:route /shop/:id/parts/:part
export default (_request: Request, { params }: { params: Record<string, string> }) => ({
  took: 'item',
  params,
});
