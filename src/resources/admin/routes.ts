/** The routes under /admin. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { RESULT_STORAGE } from "#db/rows/blocks";
import { PREFECT_VERSION } from "#http/api-version";
import { listRoutes } from "#http/list-routes";
import { embedded, route } from "#http/route";
import { notFound, unprocessable } from "#lib/api-error";
import { whole } from "#lib/portions";
import { readArchiveSize, restore, RestoreRequest, RestoreResult } from "#resources/admin/archive";
import { DatabaseSize, readDatabase } from "#resources/admin/database";
import {
  DeadLetter,
  DeadLetterReplay,
  DeadLetterStore,
  DeadLetterWithMessage,
  replayDeadLetter,
  replayDeadLetters,
} from "#resources/admin/dead-letters";
import { printSettings, Settings } from "#resources/admin/settings";
import { ConfigurationStore } from "#resources/admin/store";
import { setResultStorage } from "#resources/block-documents/result-storage";
import type { Tools } from "#tools";
import { Uuid, UuidText } from "#wire/ids";
import { BulkLimit, Limit, Offset } from "#wire/paging";

const ServerDefaultResultStorage = namedObject("ServerDefaultResultStorage", {
  default_result_storage_block_id: UuidText.nullable(),
});
const ServerDefaultResultStorageUpdate = namedObject("ServerDefaultResultStorageUpdate", {
  default_result_storage_block_id: Uuid,
});

const MAX_LETTERS = 200;
const Queue = z.string().max(200).nullish();
const LetterIds = z.array(z.string().max(200)).max(MAX_LETTERS).nullish();
const letters = (tools: Tools) => new DeadLetterStore(tools);

async function readLetter(tools: Tools, id: string) {
  const letter = await letters(tools).read(id);
  if (!letter) throw notFound("Dead letter");
  return letter;
}

const store = (tools: Tools) => new ConfigurationStore(tools);

export const adminRoutes = [
  route(
    {
      method: "GET",
      path: "/admin/settings",
      summary: "Read the server's settings, without its secrets.",
      response: Settings(),
    },
    ({ request, tools }) => printSettings(tools, new URL(request.url)),
  ),
  route(
    {
      method: "GET",
      path: "/admin/version",
      summary: "Read the version of Prefect whose API this is.",
      response: z.string(),
    },
    () => PREFECT_VERSION,
  ),
  route(
    {
      method: "GET",
      path: "/admin/database",
      summary: "Read the size of the database, its bound, its growth, and what it stores.",
      response: DatabaseSize,
    },
    async ({ tools }) => {
      const { size } = await readDatabase(tools.db, tools.clock());
      return tools.archive === null ? size : { ...size, r2: await readArchiveSize(tools.db) };
    },
  ),
  route(
    {
      method: "POST",
      path: "/admin/archive/restore",
      summary:
        "Write the events of an hour, or a flow run with its logs, back from the archive to the database, for a day.",
      body: RestoreRequest,
      response: RestoreResult,
      errors: [404, 409],
    },
    ({ body, tools }) => restore(tools, body),
  ),
  route(
    {
      method: "GET",
      path: "/admin/storage",
      summary: "Read the block where results are stored by default.",
      response: ServerDefaultResultStorage,
    },
    async ({ tools }) => (await store(tools).read(RESULT_STORAGE)) ?? { default_result_storage_block_id: null },
  ),
  route(
    {
      method: "PUT",
      path: "/admin/storage",
      summary: "Set the block where results are stored by default.",
      body: ServerDefaultResultStorageUpdate,
      response: ServerDefaultResultStorage,
      errors: [404],
    },
    ({ body, tools }) => setResultStorage(tools, body.default_result_storage_block_id),
  ),
  route(
    {
      method: "DELETE",
      path: "/admin/storage",
      summary: "Remove the default of where results are stored.",
      status: 204,
    },
    ({ tools }) => store(tools).remove(RESULT_STORAGE),
  ),
  ...listRoutes({
    path: "/admin/dead-letters",
    things: "dead letters, the newest first",
    body: { queue: Queue, limit: Limit, offset: Offset },
    item: DeadLetter,
    list: async ({ body, tools }, { limit, offset }) =>
      whole(await letters(tools).page({ queue: body.queue }, "newest", limit, offset)),
  }),
  route(
    {
      method: "GET",
      path: "/admin/dead-letters/{id}",
      summary: "Read a dead letter with its message.",
      response: DeadLetterWithMessage,
    },
    ({ params, tools }) => readLetter(tools, params.id),
  ),
  route(
    {
      method: "POST",
      path: "/admin/dead-letters/{id}/replay",
      summary: "Do the work of a dead letter again.",
      response: DeadLetterReplay,
    },
    async ({ params, tools }) => replayDeadLetter(tools, await readLetter(tools, params.id)),
  ),
  route(
    {
      method: "POST",
      path: "/admin/dead-letters/replay",
      summary: "Do the work of dead letters again, the oldest first; `offset` skips those that failed again.",
      body: embedded({ ids: LetterIds, queue: Queue, limit: BulkLimit, offset: Offset }),
      response: z.array(DeadLetterReplay),
    },
    async ({ body, tools }) =>
      replayDeadLetters(tools, await letters(tools).page(body, "oldest", body.limit, body.offset)),
  ),
  route(
    {
      method: "POST",
      path: "/admin/dead-letters/drop",
      summary: "Drop dead letters by ids or queue, a bounded number in each request; repeat it until none is dropped.",
      body: z.strictObject({ ids: LetterIds, queue: Queue }),
      response: namedObject("DeadLettersDropped", { dropped: z.int() }),
    },
    async ({ body, tools }) => {
      if (!body.ids && !body.queue) throw unprocessable("Say which dead letters are to be dropped: ids or queue.");
      return { dropped: await letters(tools).drop(body) };
    },
  ),
  route(
    { method: "DELETE", path: "/admin/dead-letters/{id}", summary: "Drop a dead letter.", status: 204 },
    async ({ params, tools }) => {
      if ((await letters(tools).drop({ ids: [params.id] })) === 0) throw notFound("Dead letter");
    },
  ),
];
