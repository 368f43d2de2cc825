/** The `WorkPool` object: what is due in one work pool, who polls it and who is alive. */
import { SluiceObject } from "#objects/base";

export class WorkPool extends SluiceObject {
  override migrations(): readonly string[] {
    return [];
  }

  override methods(): Record<string, (...args: never[]) => unknown> {
    return {};
  }

  override onTimer(_name: string): void {}
}
