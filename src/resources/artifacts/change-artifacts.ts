/** Creates, changes and deletes artifacts, and emits the events of their collections. */
import { newColumns } from "#db/workspace-store";
import { type Action, changeEvent } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { type Event, RESOURCE_ID, RESOURCE_ROLE, type Resource } from "#events/event";
import { refused } from "#lib/api-error";
import { byteLength } from "#lib/bytes";
import { log } from "#lib/log";
import type { ArtifactCreate, ArtifactUpdate } from "#resources/artifacts/schema";
import { type ArtifactRow, artifacts, ArtifactStore, MAX_ARTIFACT_BYTES, sizeOf } from "#resources/artifacts/store";
import type { Tools } from "#tools";

const store = (tools: Tools) => new ArtifactStore(tools);

/** The refusal of an id or a key that no artifact has. */
export const missing = () => refused(404, "Artifact not found.");
const tooLarge = (bytes: string) => refused(413, `The artifact has ${bytes} bytes. It may have ${MAX_ARTIFACT_BYTES}.`);

/** Creates an artifact. It is the latest of its key now. Throws 413 if it is too large. */
export async function createArtifact(tools: Tools, body: ArtifactCreate): Promise<ArtifactRow> {
  const columns = newColumns(tools);
  const row = artifacts.blank({ ...body, ...columns, id: tools.ids.ordered(columns.created) });
  const bytes = sizeOf(row);
  if (bytes > MAX_ARTIFACT_BYTES) throw tooLarge(String(bytes));
  const id = tools.ids.ordered(columns.created);
  const collection = await store(tools).insert(row, id);
  if (collection) tell(tools, collection.id === id ? "created" : "updated", collection.id, row);
  return row;
}

/** Changes the content of an artifact. Throws 404 or 413. */
export async function updateArtifact(tools: Tools, id: string, body: ArtifactUpdate): Promise<void> {
  const outcome = await store(tools).update(id, artifacts.changes(body), tools.clock());
  if (outcome === "missing") throw missing();
  if (outcome === "too large") throw tooLarge("too many");
}

/** Deletes an artifact. If it was the latest of its key, the newest of the others is the latest now. Throws 404. */
export async function deleteArtifact(tools: Tools, id: string): Promise<void> {
  const row = await store(tools).read(id);
  if (!row) throw missing();
  const { removed, next, gone } = await store(tools).remove(id, row.key);
  if (!removed) throw missing();
  if (next) tell(tools, "updated", next.collection_id, next);
  if (gone) tell(tools, "deleted", gone, row);
}

/** Prefect: PREFECT_EVENTS_MAXIMUM_SIZE_BYTES. */
const MAX_EVENT_BYTES = 1_500_000;

/** Emits the event of a collection after the reply. Prefect: an event that is too large is not sent. */
function tell(tools: Tools, action: Action, collectionId: string, latest: ArtifactRow): void {
  const event = collectionEvent(tools, action, collectionId, latest);
  const bytes = byteLength(JSON.stringify(event));
  if (bytes > MAX_EVENT_BYTES) log(tools, "warn", "the event of an artifact is too large, and is not sent", { bytes });
  else tools.background(emitEvents(tools, [event]));
}

function collectionEvent(tools: Tools, action: Action, id: string, latest: ArtifactRow): Event {
  const { key, type, data, description } = artifacts.print(latest);
  const related = [
    ...relatedTo("artifact", latest.id, "latest"),
    ...relatedTo("flow-run", latest.flow_run_id),
    ...relatedTo("task-run", latest.task_run_id),
  ];
  return changeEvent(
    tools,
    "artifact-collection",
    action,
    { id, name: key ?? "" },
    { related, payload: { key, type, data, description } },
  );
}

function relatedTo(kind: string, id: string | null, role = kind): Resource[] {
  return id === null ? [] : [{ [RESOURCE_ID]: `prefect.${kind}.${id}`, [RESOURCE_ROLE]: role }];
}
