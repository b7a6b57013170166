/** What every peer answers to whom its guard lets in. */
export const confirmed = { message: 'Only confirmed users are allowed!' };

/** What every peer answers to whom its guard keeps out. */
export const unauthorized = { message: 'Unauthorized' };
