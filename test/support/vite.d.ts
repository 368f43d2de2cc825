/** What Vite makes of `import.meta.glob`, as far as the tests use it. */
interface ImportMeta {
  glob<T>(pattern: string, options: { eager: true; import: "default" }): Record<string, T>;
}
