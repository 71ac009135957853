// Before the pages, whose own styles may differ from these.
import './style/tokens.css'
import './style/base.css'
import './style/parts.css'
import './frame/frame.css'
import { render } from 'preact'
import { Client, fetchTransport } from '../client/index.js'
import { App } from './frame/app.js'
import { listenToKeys } from './frame/keys.js'
import { operatorToken } from './frame/operator.js'
import { applyTheme } from './frame/theme.js'
import { Link } from './live/link.js'
import { LinkProvider } from './live/use-polled.js'

/** Apps below `com.example.` need no permission. */
const MANIFEST = { appId: 'com.example.millrace.console', displayName: 'millrace console', version: '1' }

applyTheme()
listenToKeys()
const token = operatorToken()
const link = new Link(new Client(fetchTransport(location.origin), token === undefined ? MANIFEST : { token }))
render(
  <LinkProvider value={link}>
    <App />
  </LinkProvider>,
  document.body,
)
