import type { PageWords } from './words.ts';

const confirmButton = 'E-Mail-Adresse bestätigen';
const changeButton = 'Neue Adresse bestätigen';
const mailButton = 'Neue E-Mail senden';

export const de: PageWords = {
  continue: (service) => `Weiter zu ${service}`,
  password: 'Passwort',
  newPassword: 'Neues Passwort',
  newPasswordConfirmation: 'Neues Passwort, noch einmal',
  email: 'E-Mail-Adresse',
  errors: {
    invalid_credentials: 'Das ist nicht das Passwort dieses Kontos.',
    weak_password:
      'Dieses Passwort ist zu leicht zu erraten: Es gehört zu den oft verwendeten, oder es ist aus dem Namen des Kontos oder des Dienstes gebildet. Bitte wählen Sie ein anderes.',
    mismatch: 'Die beiden Passwörter stimmen nicht überein.',
    length: (shortest, longest) => `Ein Passwort hat ${shortest} bis ${longest} Zeichen.`,
    out_of_date: 'Diese Seite war veraltet. Bitte versuchen Sie es noch einmal.',
    rate_limited: (wait) => `Das wurde zu oft versucht. Warten Sie bitte ${wait}, und versuchen Sie es dann noch einmal.`,
    service_unavailable: 'Das geht gerade nicht. Bitte versuchen Sie es gleich noch einmal.',
    anything_else: 'Das hat nicht funktioniert. Bitte öffnen Sie den Link aus der E-Mail noch einmal.',
  },
  pages: {
    confirmed: ({ email, service }) => ({
      title: 'Adresse bestätigt',
      paragraphs: [`${email} ist bestätigt. Ihr Konto bei ${service} ist fertig eingerichtet.`],
    }),
    already_confirmed: ({ email }) => ({
      title: 'Schon bestätigt',
      paragraphs: [`${email} wurde schon früher bestätigt. Es ist nichts mehr zu tun.`],
    }),
    confirm: ({ email, service }) => ({
      title: 'Bestätigen Sie Ihre Adresse',
      paragraphs: [`Bestätigen Sie mit der Schaltfläche, dass ${email} die Adresse Ihres Kontos bei ${service} ist.`],
      button: confirmButton,
    }),
    confirm_with_password: ({ email, service }) => ({
      title: 'Bestätigen Sie Ihre Adresse',
      paragraphs: [`Sie sind hier nicht angemeldet. Um ${email} zu bestätigen, geben Sie das Passwort Ihres Kontos bei ${service} ein.`],
      button: confirmButton,
    }),
    email_changed: ({ email, service }) => ({
      title: 'Adresse geändert',
      paragraphs: [`${email} ist jetzt die Adresse Ihres Kontos bei ${service}.`],
    }),
    change_email: ({ email, service }) => ({
      title: 'Bestätigen Sie Ihre neue Adresse',
      paragraphs: [`Mit der Schaltfläche wird ${email} die Adresse Ihres Kontos bei ${service}.`],
      button: changeButton,
    }),
    change_email_with_password: ({ email, service }) => ({
      title: 'Bestätigen Sie Ihre neue Adresse',
      paragraphs: [
        `Sie sind hier nicht angemeldet. Damit ${email} die Adresse Ihres Kontos bei ${service} wird, geben Sie dessen Passwort ein.`,
      ],
      button: changeButton,
    }),
    wrong_account: ({ username }) => ({
      title: 'Dieser Link gehört zu einem anderen Konto',
      paragraphs: [
        `Sie sind als ${username} angemeldet, und es wurde nichts geändert. Melden Sie sich ab, um mit dem Konto des Links weiterzumachen.`,
      ],
      button: 'Abmelden und noch einmal versuchen',
    }),
    expired: ({ email }) => ({
      title: 'Dieser Link ist abgelaufen',
      paragraphs: [`Er wurde nicht rechtzeitig geöffnet. Wir können einen neuen an ${email} senden.`],
      button: mailButton,
    }),
    expired_with_password: ({ email }) => ({
      title: 'Dieser Link ist abgelaufen',
      paragraphs: [`Er wurde nicht rechtzeitig geöffnet. Geben Sie das Passwort des Kontos ein, dann senden wir einen neuen an ${email}.`],
      button: mailButton,
    }),
    used: () => ({
      title: 'Dieser Link gilt nicht mehr',
      paragraphs: [
        'Er wurde schon verwendet, es wurde ein neuerer angefordert, oder das Passwort oder die Adresse des Kontos wurde seither geändert.',
      ],
    }),
    invalid: () => ({
      title: 'Dieser Link funktioniert nicht',
      paragraphs: [
        'Vielleicht ist er unvollständig, oder das Konto hat inzwischen eine andere Adresse. Kopieren Sie den ganzen Link aus der E-Mail.',
      ],
    }),
    email_taken: ({ email }) => ({
      title: 'Diese Adresse ist vergeben',
      paragraphs: [`Inzwischen hat ein anderes Konto die Adresse ${email}. Ihres behält die, die es hat.`],
    }),
    mail_sent: ({ email }) => ({
      title: 'Eine E-Mail ist unterwegs',
      paragraphs: [`Bitte sehen Sie in das Postfach von ${email}, und öffnen Sie den Link in der neuesten E-Mail.`],
    }),
    reset: ({ email, service }) => ({
      title: 'Neues Passwort festlegen',
      paragraphs: [`Für Ihr Konto bei ${service} mit der Adresse ${email}. Danach müssen Sie sich überall neu anmelden.`],
      button: 'Neues Passwort festlegen',
    }),
    reset_expired: ({ email }) => ({
      title: 'Dieser Link ist abgelaufen',
      paragraphs: [`Er wurde nicht rechtzeitig verwendet. Wir können einen neuen an ${email} senden.`],
      button: mailButton,
    }),
    reset_used: ({ service }) => ({
      title: 'Dieser Link gilt nicht mehr',
      paragraphs: [
        'Er wurde schon verwendet, oder das Passwort oder die Adresse des Kontos wurde seither geändert.',
        `Falls Sie noch ein neues Passwort brauchen, fordern Sie dort eine neue E-Mail an, wo Sie sich bei ${service} anmelden.`,
      ],
    }),
    reset_done: ({ service }) => ({
      title: 'Das neue Passwort gilt',
      paragraphs: [`Sie wurden überall abgemeldet. Melden Sie sich bei ${service} mit dem neuen Passwort an.`],
    }),
    disown: ({ email, service }) => ({
      title: 'Waren Sie das nicht?',
      paragraphs: [
        `Jemand hat mit der Adresse ${email} ein Konto bei ${service} eröffnet, das noch nicht bestätigt ist.`,
        'Waren Sie das nicht, löschen Sie das Konto. Einen Tag lang kann dann niemand eine weitere Bestätigungsmail an diese Adresse senden lassen.',
      ],
      button: 'Konto löschen',
    }),
    disowned: ({ email, service }) => ({
      title: 'Das Konto ist gelöscht',
      paragraphs: [`Es gibt kein Konto mit der Adresse ${email} bei ${service} mehr. Sie brauchen nichts weiter zu tun.`],
    }),
    disown_confirmed: () => ({
      title: 'Das Konto ist bestätigt',
      paragraphs: ['Jemand, der die E-Mails an diese Adresse liest, hat das Konto bestätigt. Es kann hier nicht mehr gelöscht werden.'],
    }),
    failed: () => ({ title: 'Das hat nicht funktioniert', paragraphs: [] }),
  },
};
