/**
 * Enough of React for tests to see what the tab shows without a browser: function components with state and effects.
 * It takes no component away, so the effects of one that is not shown any more go on.
 */

export interface Element {
  type: string | ((props: Record<string, unknown>) => unknown);
  props: Record<string, unknown>;
  key: string | undefined;
}

/** What a component keeps from one drawing to the next. */
interface Kept {
  values: unknown[];
  next: number;
}

type Effect = { needs: unknown[]; end: unknown };

export const Fragment = "fragment";
export const jsx = (type: Element["type"], props: Record<string, unknown>, key?: string): Element => ({ type, props, key });
export const jsxs = jsx;

let drawn: Screen;
let component: Kept;

function kept<T>(make: () => T): [value: T, place: number, of: Kept] {
  const [of, place] = [component, component.next++];
  if (!(place in of.values)) {
    of.values[place] = make();
  }
  return [of.values[place] as T, place, of];
}

export function useState<T>(initial: T | (() => T)): [T, (next: T | ((before: T) => T)) => void] {
  const [value, place, of] = kept(() => (initial instanceof Function ? initial() : initial));
  const screen = drawn;
  const change = (next: T | ((before: T) => T)): void => {
    of.values[place] = next instanceof Function ? next(of.values[place] as T) : next;
    screen.isOld = true;
  };
  return [value, change];
}

export function useEffect(run: () => unknown, needs: unknown[]): void {
  const [effect] = kept((): Effect => ({ needs: [{}], end: undefined }));
  if (needs.length !== effect.needs.length || needs.some((one, index) => one !== effect.needs[index])) {
    drawn.later.push(() => {
      end(effect);
      Object.assign(effect, { needs, end: run() });
    });
    drawn.effects.add(effect);
  }
}

export const useMemo = <T>(make: () => T, needs: unknown[]): T => {
  const [memo] = kept(() => ({ needs: [{}] as unknown[], value: undefined as T }));
  if (needs.length !== memo.needs.length || needs.some((one, index) => one !== memo.needs[index])) {
    Object.assign(memo, { needs, value: make() });
  }
  return memo.value;
};
export const useRef = <T>(initial: T): { current: T } => kept(() => ({ current: initial }))[0];

const end = ({ end }: Effect): void => {
  if (end instanceof Function) {
    end();
  }
};

/** Where an element is shown. */
export class Screen {
  isOld = true;
  readonly later: (() => void)[] = [];
  readonly effects = new Set<Effect>();
  private readonly components = new Map<string, Kept>();
  private tree: Element[] = [];
  private words: string[] = [];

  constructor(private readonly element: unknown) {}

  /** Draw until nothing more comes. */
  async settled(): Promise<this> {
    for (let idle = 0; idle < 5; idle += 1) {
      while (this.isOld) {
        this.isOld = false;
        idle = 0;
        drawn = this;
        this.tree = [];
        this.words = [];
        this.draw(this.element, "");
        this.later.splice(0).forEach((run) => run());
      }
      await new Promise((done) => setTimeout(done, 0));
    }
    return this;
  }

  /** Return the elements of a kind, in their order. */
  all(kind: string): Element[] {
    return this.tree.filter(({ type }) => type === kind);
  }

  get text(): string {
    return this.words.join("");
  }

  close(): void {
    this.effects.forEach(end);
  }

  private draw(node: unknown, path: string): void {
    if (Array.isArray(node)) {
      node.forEach((one, index) => {
        this.draw(one, `${path}/${(one as Element | null)?.key ?? index}`);
      });
    } else if (typeof node === "string" || typeof node === "number") {
      this.words.push(String(node));
    } else if (typeof node === "object" && node !== null) {
      const { type, props } = node as Element;
      if (type instanceof Function) {
        const name = `${path}<${type.name}>`;
        component = this.components.get(name) ?? { values: [], next: 0 };
        component.next = 0;
        this.components.set(name, component);
        this.draw(type(props), name);
      } else {
        this.tree.push(node as Element);
        this.words.push(" ");
        this.draw(props["children"], `${path}<${type}>`);
      }
    }
  }
}
