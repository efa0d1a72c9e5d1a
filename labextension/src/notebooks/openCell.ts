// From a job back to the cell that submitted it.

import { PageConfig, PathExt } from '@jupyterlab/coreutils';
import type { CommandRegistry } from '@lumino/commands';
import type { Widget } from '@lumino/widgets';

/** What is used of a notebook's document widget. */
interface NotebookWidget extends Widget {
  readonly context: { readonly ready: Promise<void> };
  readonly revealed: Promise<void>;
  readonly content: Widget & {
    readonly widgets: readonly { readonly model: { readonly id: string } }[];
    activeCellIndex: number;
    scrollToItem(index: number, align: 'center'): Promise<void>;
    deselectAll(): void;
  };
}

// Told by its shape: the class would bring the whole notebook package along.
function isNotebook(widget: unknown): widget is NotebookWidget {
  const content = (widget as Partial<NotebookWidget> | undefined)?.content;
  return content !== undefined && 'scrollToItem' in content;
}

/**
 * Where a notebook lies for Jupyter, given its path in the project folder;
 * null where the project lies outside of what Jupyter serves.
 */
export function contentsPath(notebook: string): string | null {
  const project = PageConfig.getOption('snapmlProjectPath');
  const path = PathExt.join(project, notebook);
  const outside =
    project === 'none' || notebook.startsWith('/') || path.startsWith('..');
  return outside ? null : path;
}

/**
 * Open a notebook and go to a cell.
 *
 * @returns whether the cell was found; true where none was asked for.
 */
export async function openCell(
  commands: CommandRegistry,
  path: string,
  cell: string | null
): Promise<boolean> {
  const widget: unknown = await commands.execute('docmanager:open', { path });
  if (cell === null) {
    return true;
  }
  if (!isNotebook(widget)) {
    return false;
  }
  await Promise.all([widget.context.ready, widget.revealed]);
  const { content } = widget;
  const index = content.widgets.findIndex(item => item.model.id === cell);
  if (index < 0) {
    return false;
  }
  content.deselectAll();
  content.activeCellIndex = index;
  await content.scrollToItem(index, 'center');
  content.activate();
  return true;
}
