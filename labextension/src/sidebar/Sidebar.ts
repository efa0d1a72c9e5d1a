// The SnapML panel of the left area: a heading above an accordion of sections.

import { AccordionToolbar, SidePanel } from '@jupyterlab/ui-components';
import type { IStateDB } from '@jupyterlab/statedb';
import type { ITranslator } from '@jupyterlab/translation';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import { AccordionPanel, Panel, Widget } from '@lumino/widgets';
import { snapmlIcon } from '../icons.js';
import type { ISidebar, ISidebarSection } from '../tokens.js';

export const SIDEBAR_ID = 'snapml-sidebar';
const STATE_KEY = 'snapml-lab:sidebar';

export class Sidebar extends SidePanel implements ISidebar {
  constructor(
    translator: ITranslator,
    private readonly state: IStateDB | null,
    private readonly toFront: () => void,
    restored: Promise<unknown>,
    private readonly accordion = new AccordionPanel({
      layout: AccordionToolbar.createLayout({})
    })
  ) {
    super({ header: new Panel(), content: accordion, translator });
    const trans = translator.load('snapml-lab');
    this.id = SIDEBAR_ID;
    this.addClass('snapml-Sidebar');
    this.title.icon = snapmlIcon;
    this.title.caption = trans.__('SnapML: jobs and what they make');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('SnapML'));
    const heading = document.createElement('h2');
    heading.textContent = trans.__('SnapML');
    this.header.addWidget(new Widget({ node: heading }));
    this.accordion.expansionToggled.connect(this.onToggled);
    void this.restore(restored);
  }

  addSection(section: ISidebarSection): IDisposable {
    const { id, title, widget } = section;
    widget.id = `snapml-section-${id}`;
    widget.title.label = title;
    const after = this.sections.findIndex(({ rank }) => rank > section.rank);
    const index = after < 0 ? this.sections.length : after;
    this.sections.splice(index, 0, section);
    this.insertWidget(index, widget);
    this.arrange();
    const removal = new DisposableDelegate(() => {
      this.sections.splice(this.sections.indexOf(section), 1);
      widget.dispose();
    });
    widget.disposed.connect(() => removal.dispose());
    return removal;
  }

  open(section?: string): void {
    this.toFront();
    const index = this.sections.findIndex(({ id }) => id === section);
    if (index >= 0 && this.sections[index].widget.isHidden) {
      this.accordion.expand(index);
    }
  }

  /** Open and close the sections as they were left, and give each open one its share. */
  private arrange(): void {
    this.toggle();
    this.divide();
  }

  /** Open and close the sections as they were left; say whether any was otherwise. */
  private toggle(): boolean {
    let changed = false;
    const listening = this.listening;
    this.listening = false;
    this.sections.forEach(({ id, widget, collapsed = false }, index) => {
      const closed = this.collapsed.get(id) ?? collapsed;
      changed ||= closed !== widget.isHidden;
      if (closed) {
        this.accordion.collapse(index);
      } else {
        this.accordion.expand(index);
      }
    });
    this.listening = listening;
    return changed;
  }

  private divide(): void {
    const shares = this.sections.map(({ widget, share = 1 }) => {
      if (!widget.isHidden) {
        this.sized.add(widget);
      }
      return widget.isHidden ? 0 : share;
    });
    this.accordion.setRelativeSizes(shares);
  }

  private readonly onToggled = (_: unknown, index: number): void => {
    if (!this.listening) {
      return;
    }
    const { id, widget } = this.sections[index];
    this.collapsed.set(id, widget.isHidden);
    void this.state?.save(STATE_KEY, Object.fromEntries(this.collapsed));
    // One that was never open has no size to come back to.
    if (!widget.isHidden && !this.sized.has(widget)) {
      this.divide();
    }
  };

  private async restore(restored: Promise<unknown>): Promise<void> {
    const saved = await this.state?.fetch(STATE_KEY);
    if (this.isDisposed) {
      return;
    }
    for (const [id, collapsed] of Object.entries(saved ?? {})) {
      if (typeof collapsed === 'boolean') {
        this.collapsed.set(id, collapsed);
      }
    }
    this.arrange();
    // JupyterLab's layout opens and closes them too: by their place, and as
    // they were when the layout was last saved, which no toggle causes.
    await restored;
    if (this.toggle()) {
      this.divide();
    }
    this.listening = true;
  }

  private readonly sections: ISidebarSection[] = [];
  /** By id: whether a person left it closed. */
  private readonly collapsed = new Map<string, boolean>();
  /** Sections that have been open. */
  private readonly sized = new WeakSet<Widget>();
  /** Whether a section that opens or closes does so at a person's wish. */
  private listening = false;
}
