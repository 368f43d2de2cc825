/** Column builders that all tables share. Names on the wire, columns and TypeScript keys are the same snake_case words. */
import { integer, text } from "drizzle-orm/sqlite-core";

/** The workspace a row belongs to; the first part of every key. */
export const workspaceId = () => text("workspace_id").notNull();

/** A UUID as lowercase text. */
export const uuid = <N extends string>(name: N) => text(name);

/** A time in integer microseconds UTC. */
export const micros = <N extends string>(name: N) => integer(name);

/** JSON as text; read with `readJson`, never mapped by drizzle. */
export const json = <N extends string>(name: N) => text(name);

/** 0 or 1. */
export const flag = <N extends string>(name: N) => integer(name);

/** When the row was made and last changed, in microseconds. */
export const stamps = () => ({ created: micros("created").notNull(), updated: micros("updated").notNull() });
