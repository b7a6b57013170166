// Comes first among the imports: libraries read it when they are loaded.
process.env.NODE_ENV = 'production';
