// The jobs seen alive in this browser whose end nobody was told of yet: across reloads, shared by the tabs of one server.

const MOST = 500;

/** What is used of the browser's storage. */
export type Shelf = Pick<Storage, 'getItem' | 'setItem'>;

export class Memory {
  constructor(
    private readonly shelf: Shelf,
    private readonly key: string
  ) {}

  all(): Set<string> {
    try {
      const saved: unknown = JSON.parse(this.shelf.getItem(this.key) ?? '[]');
      return new Set(
        Array.isArray(saved) ? saved.filter(id => typeof id === 'string') : []
      );
    } catch {
      return new Set();
    }
  }

  add(ids: readonly string[]): void {
    const known = this.all();
    if (ids.some(id => !known.has(id))) {
      this.save([...known, ...ids.filter(id => !known.has(id))]);
    }
  }

  /** Forget jobs, and return those that nobody else had forgotten before. */
  take(ids: readonly string[]): string[] {
    const known = this.all();
    const taken = ids.filter(id => known.has(id));
    if (taken.length > 0) {
      this.save([...known].filter(id => !taken.includes(id)));
    }
    return taken;
  }

  private save(ids: readonly string[]): void {
    try {
      this.shelf.setItem(this.key, JSON.stringify(ids.slice(-MOST)));
    } catch {
      // Storage may be full or forbidden: then a reload forgets.
    }
  }
}
