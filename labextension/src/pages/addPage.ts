// A kind of page: the command that opens one, a tab for each thing shown, and tabs that come back after a reload.

import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';
import type { PageWidget } from './PageWidget.js';

export interface PageKind {
  /** Start of the tabs' ids. */
  readonly id: string;
  readonly command: string;
  readonly label: string;
  readonly caption: string;
  /** JSON Schema of the command's arguments. */
  readonly args: ReadonlyJSONObject;
  /** Tells one page from another. */
  readonly keyOf: (args: ReadonlyPartialJSONObject) => string;
  readonly make: (args: ReadonlyPartialJSONObject) => PageWidget;
}

export function addPage(
  app: JupyterFrontEnd,
  restorer: ILayoutRestorer | null,
  kind: PageKind
): void {
  const tracker = new WidgetTracker<MainAreaWidget<PageWidget>>({
    namespace: kind.id
  });
  const opened = new Map<string, ReadonlyPartialJSONObject>();
  const { command } = kind;
  app.commands.addCommand(command, {
    label: kind.label,
    caption: kind.caption,
    describedBy: { args: kind.args },
    execute: async args => {
      const id = `${kind.id}-${encodeURIComponent(kind.keyOf(args))}`;
      if (!tracker.find(widget => widget.id === id)) {
        const content = kind.make(args);
        content.title.label ||= kind.label;
        const widget = new MainAreaWidget({ content });
        widget.id = id;
        widget.toolbar.hide();
        opened.set(id, args);
        widget.disposed.connect(() => opened.delete(id));
        app.shell.add(widget, 'main');
        await tracker.add(widget);
      }
      app.shell.activateById(id);
    }
  });
  void restorer?.restore(tracker, {
    command,
    args: widget => opened.get(widget.id) ?? {},
    name: widget => widget.id
  });
}
