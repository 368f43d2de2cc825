/** Resolves the references of one schema: pointers, anchors and ids in the schema. Other documents are never fetched. */
import { type Resource, type Target, UnusableSchema } from "#lib/json-schema/schema";
import { isObject, pythonText } from "#lib/json-value";
import type { Steps } from "#lib/steps";

const ROOT_URI = "https://schema.invalid/";

/** The references of one schema. */
export class References {
  readonly root: Resource;
  readonly #steps: Steps;
  readonly #targets = new Map<string, Target>();
  #index: Index | undefined;

  constructor(schema: unknown, steps: Steps) {
    this.root = { uri: ROOT_URI, root: schema };
    this.#steps = steps;
  }

  /** Returns the resource of a schema that was reached from the resource `outer`. */
  resourceOf(schema: Record<string, unknown>, outer: Resource): Resource {
    if (typeof schema["$id"] !== "string") return outer;
    return this.#indexed().bySchema.get(schema) ?? outer;
  }

  /** Returns the schema that a reference in a resource names. Throws `UnusableSchema`. */
  resolve(reference: string, from: Resource): Target {
    this.#steps.spend(1 + reference.length);
    const known = `${from.uri}\n${reference}`;
    const target = this.#targets.get(known) ?? this.#find(reference, from);
    this.#targets.set(known, target);
    return target;
  }

  #find(reference: string, from: Resource): Target {
    const [path = "", fragment = ""] = reference.split(/#(.*)/s);
    const resource = path === "" ? from : this.#indexed().byUri.get(uriOf(path, from.uri) ?? "");
    if (!resource) throw new UnusableSchema("unresolvable", `Unresolvable: ${reference}`);
    const name = decoded(fragment);
    if (name === "") return { schema: resource.root, resource };
    if (name.startsWith("/")) return this.#point(name, resource);
    const anchored = this.#indexed().byAnchor.get(`${resource.uri}#${name}`);
    if (anchored) return anchored;
    throw new UnusableSchema(
      "unresolvable",
      `NoSuchAnchor: ${pythonText(name)} does not exist within ${pythonText(resource.root)}`,
    );
  }

  #point(pointer: string, start: Resource): Target {
    let here = start.root;
    let resource = start;
    for (const part of pointer.slice(1).split("/")) {
      const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
      if (Array.isArray(here) && /^\d+$/.test(key) && Number(key) < here.length) here = here[Number(key)];
      else if (isObject(here) && Object.hasOwn(here, key)) here = here[key];
      else
        throw new UnusableSchema(
          "unresolvable",
          `PointerToNowhere: ${pythonText(pointer)} does not exist within ${pythonText(start.root)}`,
        );
      if (isObject(here)) resource = this.resourceOf(here, resource);
    }
    return { schema: here, resource };
  }

  #indexed(): Index {
    this.#index ??= indexOf(this.root, this.#steps);
    return this.#index;
  }
}

type Index = ReturnType<typeof indexOf>;

function indexOf(root: Resource, steps: Steps) {
  const index = {
    bySchema: new Map<unknown, Resource>(),
    byUri: new Map([[root.uri, root]]),
    byAnchor: new Map<string, Target>(),
  };
  const left: { node: unknown; outer: Resource }[] = [{ node: root.root, outer: root }];
  for (let next = left.pop(); next; next = left.pop()) {
    const { node, outer } = next;
    if (!isObject(node) && !Array.isArray(node)) continue;
    const resource = isObject(node) ? enter(node, outer, index) : outer;
    const inner = Object.values(node);
    steps.spend(inner.length);
    for (const value of inner) left.push({ node: value, outer: resource });
  }
  return index;
}

function enter(schema: Record<string, unknown>, outer: Resource, index: Index): Resource {
  const { $id, $anchor, $dynamicAnchor } = schema;
  const uri = typeof $id === "string" ? uriOf($id, outer.uri) : undefined;
  const resource = uri === undefined ? outer : { uri, root: schema };
  if (uri !== undefined) {
    index.bySchema.set(schema, resource);
    index.byUri.set(uri, resource);
  }
  for (const name of [$anchor, $dynamicAnchor])
    if (typeof name === "string") index.byAnchor.set(`${resource.uri}#${name}`, { schema, resource });
  return resource;
}

function uriOf(reference: string, base: string): string | undefined {
  return URL.parse(reference, base)?.href.replace(/#.*$/, "");
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment; // the fragment has no valid escapes
  }
}
