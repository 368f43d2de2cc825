/** The type of Vite's `import.meta.glob`, as the tests use it. */
interface ImportMeta {
  glob<T>(pattern: string, options: { eager: true; import: "default" }): Record<string, T>;
}
