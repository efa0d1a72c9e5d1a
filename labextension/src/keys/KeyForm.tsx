// A form for a new key: who it is for and how long, and folded away what bounds it.

import React, { useState } from 'react';
import { usePage } from '../pages/context.js';
import { SelectField, TextField } from '../pages/Field.js';
import { Act, Refusal } from '../pages/parts.js';
import { useForm } from '../pages/useForm.js';
import { useSection } from '../sections/context.js';
import {
  type Draft,
  EMPTY,
  type Field,
  FIELDS,
  LIVES,
  lifeWord,
  read,
  ROLES,
  roleWord
} from './draft.js';
import type { Made } from './Secret.js';

export function KeyForm(props: {
  /** With the key that was made; without one where it was left. */
  onDone: (made: Made | null) => void;
}): React.JSX.Element {
  const { onDone } = props;
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { frame, busy, faults, problem, send } = useForm<Field>(FIELDS);
  const [draft, setDraft] = useState(EMPTY);
  const set = (changes: Partial<Draft>): void =>
    setDraft({ ...draft, ...changes });
  const make = (): void => {
    const asked = read(draft, trans);
    void send(asked.faults, async () => {
      const key = await client.call('keys/create', asked.params);
      reload();
      onDone({ name: key.name, secret: key.secret ?? '' });
    });
  };
  return (
    <form
      ref={frame}
      className="snapml-Form"
      aria-label={trans.__('New key')}
      data-testid="snapml-key-form"
      onSubmit={event => event.preventDefault()}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          onDone(null);
        }
      }}
    >
      <Refusal problem={problem} />
      <div className="snapml-Fields">
        <TextField
          label={trans.__('Who or what it is for')}
          placeholder={trans.__('the shop, ann’s laptop')}
          value={draft.name}
          fault={faults.name}
          maxLength={100}
          autoFocus
          testid="snapml-key-name"
          onChange={name => set({ name })}
        />
        <SelectField
          label={trans.__('Role')}
          choices={ROLES.map(role => [role, roleWord(role, trans)])}
          value={draft.role}
          fault={faults.role}
          testid="snapml-key-role"
          onChange={role => set({ role })}
        />
        <SelectField
          label={trans.__('Expires')}
          choices={LIVES.map(life => [life, lifeWord(life, trans)])}
          value={draft.life}
          fault={draft.life === 'other' ? undefined : faults.expires}
          testid="snapml-key-life"
          onChange={life => set({ life })}
        />
        {draft.life === 'other' && (
          <TextField
            label={trans.__('Expires in')}
            placeholder="12h, 45d"
            value={draft.expires}
            fault={faults.expires}
            testid="snapml-key-expires"
            onChange={expires => set({ expires })}
          />
        )}
      </div>
      <details className="snapml-Fold">
        <summary data-testid="snapml-key-more">
          {trans.__('Limits and scope')}
        </summary>
        <div className="snapml-Fields">
          <TextField
            label={trans.__('Models it may ask')}
            placeholder={trans.__('all')}
            hint={trans.__('Names of endpoints or patterns: story, chat*')}
            value={draft.models}
            fault={faults.models}
            maxLength={2000}
            testid="snapml-key-models"
            onChange={models => set({ models })}
          />
          <TextField
            label={trans.__('Routes it may take')}
            placeholder={trans.__('all')}
            hint={trans.__('Paths or patterns: /v1/chat/completions, /v2/*')}
            value={draft.routes}
            fault={faults.routes}
            maxLength={2000}
            testid="snapml-key-routes"
            onChange={routes => set({ routes })}
          />
          <TextField
            label={trans.__('Requests')}
            placeholder={trans.__('no limit')}
            unit={trans.__('a minute')}
            number
            value={draft.requests_per_minute}
            fault={faults.requests_per_minute}
            testid="snapml-key-requests"
            onChange={value => set({ requests_per_minute: value })}
          />
          <TextField
            label={trans.__('Tokens, read and written')}
            placeholder={trans.__('no limit')}
            unit={trans.__('a minute')}
            number
            value={draft.tokens_per_minute}
            fault={faults.tokens_per_minute}
            testid="snapml-key-tokens"
            onChange={value => set({ tokens_per_minute: value })}
          />
          <TextField
            label={trans.__('Under way at once')}
            placeholder={trans.__('no limit')}
            unit={trans.__('requests')}
            number
            value={draft.concurrency}
            fault={faults.concurrency}
            testid="snapml-key-concurrency"
            onChange={concurrency => set({ concurrency })}
          />
          <TextField
            label={trans.__('May spend')}
            placeholder={trans.__('no limit')}
            sign="$"
            unit={trans.__('in all')}
            number
            value={draft.limit}
            fault={faults.limit}
            testid="snapml-key-limit"
            onChange={limit => set({ limit })}
          />
          <TextField
            label={trans.__('Project')}
            placeholder={trans.__('none')}
            hint={trans.__('What its work belongs to in the bill')}
            value={draft.project}
            fault={faults.project}
            testid="snapml-key-project"
            onChange={project => set({ project })}
          />
        </div>
      </details>
      <span className="snapml-Page-acts">
        <Act
          strong
          submit
          onClick={make}
          busy={busy}
          barred={
            draft.name.trim() === '' ? trans.__('Say who it is for.') : null
          }
          testid="snapml-key-make"
        >
          {trans.__('Make key')}
        </Act>
        <Act onClick={() => onDone(null)}>{trans.__('Leave it')}</Act>
      </span>
    </form>
  );
}
