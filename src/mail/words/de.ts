import { inLargestUnit, type MailWords } from './words.ts';

/** Durations as they are used here: in the accusative, behind a colon or after „für“. */
const units = {
  day: ['einen Tag', 'Tage'],
  hour: ['eine Stunde', 'Stunden'],
  minute: ['eine Minute', 'Minuten'],
  second: ['eine Sekunde', 'Sekunden'],
} as const;

export const de: MailWords = {
  greeting: 'Guten Tag,',
  linkIntroduction: 'Falls die Schaltfläche nicht funktioniert, kopieren Sie diese Adresse in Ihren Browser:',
  disown: 'Das war ich nicht: Konto löschen',
  disownIntroduction: 'Um das Konto zu löschen, öffnen Sie diese Adresse:',
  noReply: 'Dies ist eine automatische Nachricht. Antworten an diese Adresse werden nicht gelesen.',
  duration(seconds) {
    const [amount, unit] = inLargestUnit(seconds);
    const [one, many] = units[unit];
    return amount === 1 ? one : `${amount} ${many}`;
  },
  mails: {
    confirmation: ({ service, lifetime }) => ({
      subject: `Bestätigen Sie Ihre E-Mail-Adresse für ${service}`,
      paragraphs: [`Bitte bestätigen Sie, dass dies Ihre E-Mail-Adresse ist, um Ihr Konto bei ${service} fertig einzurichten.`],
      button: 'E-Mail-Adresse bestätigen',
      afterButton: [
        `Der Link gilt für ${lifetime}. Öffnen Sie ihn in dem Browser, in dem Sie angemeldet sind, oder geben Sie dort Ihr Passwort ein.`,
      ],
      reason: `Sie erhalten diese Nachricht, weil jemand diese Adresse bei der Registrierung für ${service} angegeben hat. Waren Sie das nicht, brauchen Sie nichts zu tun: Ohne Ihre Bestätigung bleibt das Konto geschlossen.`,
    }),
    password_reset: ({ service, lifetime }) => ({
      subject: `Neues Passwort für ${service} festlegen`,
      paragraphs: [`Mit diesem Link können Sie ein neues Passwort für Ihr Konto bei ${service} festlegen. Bis dahin gilt das alte.`],
      button: 'Neues Passwort festlegen',
      afterButton: [`Der Link gilt einmal, und zwar für ${lifetime}. Danach müssen Sie sich überall neu anmelden.`],
      reason: `Sie erhalten diese Nachricht, weil jemand für das Konto mit dieser Adresse bei ${service} ein neues Passwort angefordert hat. Waren Sie das nicht, können Sie sie ignorieren: Es hat sich nichts geändert.`,
    }),
    password_changed: ({ service }) => ({
      subject: `Ihr Passwort für ${service} wurde geändert`,
      paragraphs: [
        `Das Passwort Ihres Kontos bei ${service} wurde soeben geändert, und andere Geräte wurden abgemeldet.`,
        'Waren Sie das nicht, kennt jemand anderes Ihr Passwort oder liest Ihre E-Mails: Sorgen Sie dafür, dass nur Sie sie lesen können, und legen Sie dann mit „Passwort vergessen“ ein neues fest.',
      ],
      reason: `Sie erhalten diese Nachricht, weil sie die Sicherheit Ihres Kontos bei ${service} betrifft.`,
    }),
    email_change: ({ service, lifetime }) => ({
      subject: `Bestätigen Sie Ihre neue E-Mail-Adresse für ${service}`,
      paragraphs: [
        `Bitte bestätigen Sie, dass dies die neue E-Mail-Adresse Ihres Kontos bei ${service} werden soll. Bis dahin gilt die alte.`,
      ],
      button: 'Neue Adresse bestätigen',
      afterButton: [
        `Der Link gilt einmal, und zwar für ${lifetime}. Öffnen Sie ihn in dem Browser, in dem Sie angemeldet sind, oder geben Sie dort Ihr Passwort ein.`,
      ],
      reason: `Sie erhalten diese Nachricht, weil jemand diese Adresse als neue Adresse eines Kontos bei ${service} angegeben hat. Waren Sie das nicht, können Sie sie ignorieren: Es wird sich nichts ändern.`,
    }),
    email_change_requested: ({ service }) => ({
      subject: `Für Ihr Konto bei ${service} wurde eine neue E-Mail-Adresse angegeben`,
      paragraphs: [
        `Jemand, der das Passwort Ihres Kontos bei ${service} kennt, möchte ihm eine andere E-Mail-Adresse geben. Das geschieht, sobald die neue Adresse bestätigt ist; bis dahin gilt diese.`,
        'Waren Sie das nicht, ändern Sie jetzt Ihr Passwort: Damit wird die Anforderung ungültig.',
      ],
      reason: `Sie erhalten diese Nachricht, weil sie die Sicherheit Ihres Kontos bei ${service} betrifft.`,
    }),
    email_changed: ({ service }) => ({
      subject: `Die E-Mail-Adresse Ihres Kontos bei ${service} wurde geändert`,
      paragraphs: [
        `Ihr Konto bei ${service} hat jetzt eine andere E-Mail-Adresse. Diese hier gehört nicht mehr dazu und erhält keine Nachrichten mehr darüber.`,
        `Waren Sie das nicht, wenden Sie sich bitte an die Betreiber von ${service}.`,
      ],
      reason: `Sie erhalten diese Nachricht, weil dies bis jetzt die Adresse eines Kontos bei ${service} war.`,
    }),
    registration_attempt: ({ service }) => ({
      subject: `Jemand wollte sich mit Ihrer Adresse bei ${service} registrieren`,
      paragraphs: [
        `Jemand wollte mit dieser Adresse ein Konto bei ${service} eröffnen. Sie haben schon eines, deshalb hat sich nichts geändert.`,
        'Waren Sie das, melden Sie sich einfach an; mit „Passwort vergessen“ können Sie ein neues Passwort festlegen. Waren Sie es nicht, brauchen Sie nichts zu tun.',
      ],
      reason: `Sie erhalten diese Nachricht, höchstens einmal am Tag, weil Ihre Adresse zu einem Konto bei ${service} gehört.`,
    }),
  },
};
