/** Events as they travel and are stored. */

/** What an event is about, or has to do with: labels, among them `prefect.resource.id`. */
export type Resource = Record<string, string>;

/** An event that the server makes. `occurred` is RFC 3339 text as on the wire. */
export interface Event {
  occurred: string;
  event: string;
  resource: Resource;
  related: Resource[];
  payload: Record<string, unknown>;
  id: string;
  follows: string | null;
}

/** An event that came in: when, and for which workspace, is the server's word. */
export interface ReceivedEvent extends Event {
  received: string;
}
