// The SnapML panel of the left area: a heading above an accordion of sections.

import { SidePanel } from '@jupyterlab/ui-components';
import type { ITranslator } from '@jupyterlab/translation';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import { Panel, Widget } from '@lumino/widgets';
import { snapmlIcon } from '../icons.js';
import type { ISidebar, ISidebarSection } from '../tokens.js';

export class Sidebar extends SidePanel implements ISidebar {
  constructor(translator: ITranslator) {
    super({ header: new Panel(), translator });
    const trans = translator.load('snapml-lab');
    this.id = 'snapml-sidebar';
    this.addClass('snapml-Sidebar');
    this.title.icon = snapmlIcon;
    this.title.caption = trans.__('SnapML: jobs and what they make');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('SnapML'));
    const heading = document.createElement('h2');
    heading.textContent = trans.__('SnapML');
    this.header.addWidget(new Widget({ node: heading }));
  }

  addSection(section: ISidebarSection): IDisposable {
    const { id, title, widget } = section;
    widget.id = `snapml-section-${id}`;
    widget.title.label = title;
    const after = this.sections.findIndex(({ rank }) => rank > section.rank);
    const index = after < 0 ? this.sections.length : after;
    this.sections.splice(index, 0, section);
    this.insertWidget(index, widget);
    const removal = new DisposableDelegate(() => {
      this.sections.splice(this.sections.indexOf(section), 1);
      widget.dispose();
    });
    widget.disposed.connect(() => removal.dispose());
    return removal;
  }

  private readonly sections: ISidebarSection[] = [];
}
