/** A WebSocket route as a value: the Worker passes the upgrade to the Durable Object that keeps the socket. */
import { DEFAULT_WORKSPACE, type Env, parseSettings } from "#env";
import { isAuthorized, needsCredentials } from "#http/auth";

/** Headers in which the Worker sends its results to the object. The Worker overwrites such headers of clients. */
export const SOCKET_HEADERS = {
  workspace: "x-sluice-workspace",
  authorized: "x-sluice-authorized",
  channel: "x-sluice-channel",
  params: "x-sluice-params",
};

/** Reads the parameters of the path from an upgrade request. Runs in the object. */
export function readParams(request: Request): Record<string, string> {
  // `socket` writes this header.
  return JSON.parse(decodeURIComponent(request.headers.get(SOCKET_HEADERS.params) ?? "{}")) as Record<string, string>;
}

/** Makes a socket route. The object that `objectOf` gives keeps the connections. */
export function socket(
  path: string,
  channel: string,
  objectOf: (env: Env, workspaceId: string, params: Record<string, string>) => DurableObjectStub,
) {
  return {
    path,
    async open(request: Request, env: Env, params: Record<string, string>): Promise<Response> {
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        return Response.json({ detail: "Upgrade Required" }, { status: 426, headers: { Upgrade: "websocket" } });
      }
      const settings = parseSettings(env);
      const headers = new Headers(request.headers);
      headers.set(SOCKET_HEADERS.workspace, DEFAULT_WORKSPACE);
      headers.set(SOCKET_HEADERS.channel, channel);
      headers.set(SOCKET_HEADERS.params, encodeURIComponent(JSON.stringify(params)));
      const authorized = !needsCredentials(settings) || isAuthorized(request.headers.get("authorization"), settings);
      headers.set(SOCKET_HEADERS.authorized, authorized ? "1" : "0");
      const answer = await objectOf(env, DEFAULT_WORKSPACE, params).fetch(new Request(request, { headers }));
      // The headers of another Worker's answer cannot be changed.
      return answer.webSocket ? answer : new Response(answer.body, answer);
    },
  };
}
