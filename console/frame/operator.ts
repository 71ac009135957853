const NAME = 'millrace.operator'
const PARAMETER = 'access_token'

/** From here the page is served without a token. */
const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** The token that the address brought, or that was given before in this tab. */
export function operatorToken(): string | undefined {
  const given = new URLSearchParams(location.search).get(PARAMETER)
  if (given === null) return recalled()
  keep(given)
  // It need not stand where others can read it; elsewhere the page is served for it alone, so there it has to.
  if (LOOPBACK.includes(location.hostname)) history.replaceState(history.state, '', location.pathname + location.hash)
  return given
}

/** Begins anew with a token. */
export function becomeOperator(token: string): void {
  keep(token)
  location.reload()
}

/** Begins anew without one. */
export function resignAsOperator(): void {
  keep(undefined)
  location.assign(location.pathname + location.hash)
  location.reload()
}

/** The tab alone remembers it. */
function keep(token: string | undefined): void {
  try {
    if (token === undefined) sessionStorage.removeItem(NAME)
    else sessionStorage.setItem(NAME, token)
  } catch {
    // Then it lasts until the page is loaded again.
  }
}

function recalled(): string | undefined {
  try {
    return sessionStorage.getItem(NAME) ?? undefined
  } catch {
    return undefined
  }
}
