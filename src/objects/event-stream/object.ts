/** The `EventStream` object: gathers a workspace's events into segments and fans them out to those who listen. */
import { SluiceObject } from "#objects/base";

export class EventStream extends SluiceObject {
  override migrations(): readonly string[] {
    return [];
  }

  override methods(): Record<string, (...args: never[]) => unknown> {
    return {};
  }

  override onTimer(_name: string): void {}
}
