import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { SettingInfo } from '../../client/index.js'
import { counted } from '../figures/numbers.js'
import { choose, useChoice } from '../frame/address.js'
import { usePolled } from '../live/use-polled.js'
import { Choice } from '../parts/choice.js'
import { Loaded } from '../parts/loaded.js'

/** Settings change with the configuration only; milliseconds. */
const SETTINGS_MS = 15_000

const SHOWN = [
  ['set', 'Set'],
  ['all', 'All'],
] as const

/** Settings in force, and where each comes from. */
export function Settings(): JSX.Element {
  const polled = usePolled('settings', (client, signal) => client.config(signal), SETTINGS_MS)
  const wantsAll = useChoice('settings') === 'all'
  const [search, setSearch] = useState('')
  return (
    <section class="sheet" aria-label="Settings">
      <div class="head">
        <h2>Settings</h2>
        <small>in force, and where they come from</small>
        <span class="grow" />
        <Choice
          label="Which settings"
          options={SHOWN}
          chosen={wantsAll ? 'all' : 'set'}
          onChoose={(which) => {
            choose({ settings: which === 'all' ? 'all' : '' })
          }}
        />
      </div>
      <div class="pad">
        <label class="vh" for="search-settings">
          Search settings
        </label>
        <input
          class="in"
          id="search-settings"
          value={search}
          placeholder="search"
          autocomplete="off"
          onInput={(event) => {
            setSearch(event.currentTarget.value)
          }}
        />
      </div>
      <Loaded polled={polled} what="settings">
        {(settings) => (
          <Table
            settings={settings.filter(
              ({ path, source }) =>
                path.toLowerCase().includes(search.trim().toLowerCase()) && (wantsAll || source.kind !== 'default'),
            )}
            hidden={wantsAll ? 0 : settings.filter(({ source }) => source.kind === 'default').length}
          />
        )}
      </Loaded>
    </section>
  )
}

function Table({ settings, hidden }: { settings: readonly SettingInfo[]; hidden: number }): JSX.Element {
  return (
    <>
      <div class="wide" tabIndex={0} role="region" aria-label="Table of settings">
        <table>
          <thead>
            <tr>
              <th scope="col">setting</th>
              <th scope="col">value</th>
              <th scope="col">from</th>
            </tr>
          </thead>
          <tbody>
            {settings.map((setting) => (
              <tr key={setting.path}>
                <td class="m">{setting.path}</td>
                <td class="m setting">{valueText(setting)}</td>
                <td>
                  {sourceText(setting)}
                  {setting.waiting ? <b> holds after the next start</b> : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {settings.length === 0 ? <p class="pad q">None.</p> : null}
      {hidden === 0 ? null : <p class="pad q">{counted(hidden, 'other setting')} as by default.</p>}
    </>
  )
}

function valueText({ value, secret, set }: SettingInfo): string {
  if (secret) return set ? 'set, not shown' : 'not set'
  if (value === null) return set ? 'null' : 'none'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function sourceText({ source }: SettingInfo): string {
  switch (source.kind) {
    case 'default':
      return 'default'
    case 'file':
      return `${source.file}, line ${String(source.line)}`
    case 'environment':
      return `environment: ${source.variable}`
    case 'flag':
      return `flag ${source.flag}`
  }
}
