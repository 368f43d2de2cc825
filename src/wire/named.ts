/** Schemas of objects, under their names in the OpenAPI document. */
import * as z from "zod";

/** An object. Fields that the schema does not list are left out. */
export function namedObject<Shape extends z.ZodRawShape>(id: string, shape: Shape) {
  return z.object(shape).meta({ id });
}

/** An object. Fields that the schema does not list are refused. */
export function namedStrictObject<Shape extends z.ZodRawShape>(id: string, shape: Shape) {
  return z.strictObject(shape).meta({ id });
}
