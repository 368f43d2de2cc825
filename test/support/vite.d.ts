/** The types of Vite's `import.meta.glob`, as the tests use it. */
interface ImportMeta {
  glob(patterns: readonly string[]): Record<string, () => Promise<unknown>>;
  glob<T>(pattern: string, options: { eager: true; import: "default" }): Record<string, T>;
}
