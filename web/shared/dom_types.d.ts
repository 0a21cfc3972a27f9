// The types of dom.js that JSDoc cannot express.

/** What element() takes as a child. null, undefined, false and "" add nothing. */
export type Child = Node | string | false | null | undefined | 0 | readonly Child[];

/** A header of a table: a text, or a text and a class. */
export type Head = string | [Child, string];

/** The tag of "tag.class". */
export type TagOf<Selector> = Selector extends `${infer Tag}.${string}` ? Tag : Selector;

export type ElementOf<Tag> = Tag extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag] : HTMLElement;
