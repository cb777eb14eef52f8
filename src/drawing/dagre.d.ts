/** What is used of it: its own types can't be resolved by Node's rules, which want the endings of files. */
declare module '@dagrejs/dagre' {
  export class Graph {
    constructor(options: { compound: boolean; multigraph: boolean });
    setGraph(options: Record<string, unknown>): void;
    setNode(name: string, label: { width: number; height: number }): void;
    setParent(name: string, parent: string): void;
    setEdge(from: string, to: string, label: object, name: string): void;
    node(name: string): { x: number; y: number; width: number; height: number };
    edge(from: string, to: string, name: string): { points: { x: number; y: number }[] };
  }
  export function layout(graph: Graph): void;
}
