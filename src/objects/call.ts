/** A call of an object as it travels, and what an object is told of itself. */

/** The version of the calls this code sends: JSON in a body. The one before, in a header of itty-durable's, is still understood. */
export const CALL_VERSION = 2;

/** Where calls are sent to. */
export const CALL_PATH = "/call";

/** A call as it travels. */
export interface Call {
  v: number;
  method: string;
  args: unknown[];
}

/** Who the object is, told by each caller and kept. */
export interface Identity {
  workspace: string;
  name: string;
}
